# Flink as the engine's host: job manager, task managers, and `obverse run engine-flink`, which submits the job.
# Built from the root of the repository:
#   docker build -f deploy/flink.Dockerfile -t obverse-flink .

FROM maven:3.9.11-eclipse-temurin-17 AS jars
WORKDIR /build
COPY src/obverse/adapters/flink/pom.xml ./
RUN mvn -q -B dependency:copy-dependencies -DoutputDirectory=/build/jars

FROM flink:2.3.0-java17 AS flink

# Flink 2.3 takes Python 3.9 to 3.12.
FROM python:3.11.14-slim-bookworm AS packages
WORKDIR /build
COPY requirements-uv.lock requirements.lock requirements-flink.lock ./
RUN python -m pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
    && uv venv /opt/job \
    && uv pip install --no-cache --python /opt/job/bin/python --require-hashes -r requirements-flink.lock \
    && uv venv /opt/obverse
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
ARG EXTRAS=kafka,redis
RUN uv pip install --no-cache --compile-bytecode --python /opt/obverse/bin/python \
    --constraints requirements.lock --build-constraints requirements.lock "/build[${EXTRAS}]"

FROM python:3.11.14-slim-bookworm
# What the entry point of Flink's image uses, and Java.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl gettext-base libjemalloc2 openjdk-17-jre-headless procps \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/lib/jvm/java-17-openjdk-* /opt/java \
    && useradd --system --uid 9999 --home-dir /opt/flink flink \
    && install -d -o flink /var/lib/flink /var/lib/obverse
COPY --from=flink --chown=9999 /opt/flink /opt/flink
COPY --from=flink /docker-entrypoint.sh /docker-entrypoint.sh
COPY --from=jars --chown=9999 /build/jars /opt/flink/lib
COPY --from=packages /opt/job /opt/job
# Whoever submits the job looks for them there.
COPY --from=jars /build/jars /opt/job/jars
COPY --from=packages /opt/obverse /opt/obverse
RUN cp /opt/flink/opt/flink-python-*.jar /opt/flink/lib/
ENV JAVA_HOME=/opt/java \
    FLINK_HOME=/opt/flink \
    PYFLINK_PYTHON=/opt/job/bin/python \
    PATH=/opt/flink/bin:/opt/obverse/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    OBVERSE_DATA=/var/lib/obverse
USER 9999
WORKDIR /opt/flink
EXPOSE 6123 8081 9249
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["help"]
