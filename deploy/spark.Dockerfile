# Spark as the engine's host: master, workers, `obverse run engine-spark`, and driver and executors in Kubernetes.
# Built from the root of the repository:
#   docker build -f deploy/spark.Dockerfile -t obverse-spark .

FROM maven:3.9.11-eclipse-temurin-17 AS jars
WORKDIR /build
COPY src/obverse/adapters/spark/pom.xml ./
RUN mvn -q -B dependency:copy-dependencies -DoutputDirectory=/build/jars

FROM apache/spark:4.2.0-scala2.13-java17-ubuntu AS spark

FROM python:3.11.14-slim-bookworm AS packages
WORKDIR /build
COPY requirements-uv.lock requirements.lock requirements-spark.lock ./
RUN python -m pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
    && uv venv /opt/job \
    && uv pip install --no-cache --python /opt/job/bin/python --require-hashes -r requirements-spark.lock \
    && uv venv /opt/obverse
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
ARG EXTRAS=kafka,redis
RUN uv pip install --no-cache --compile-bytecode --python /opt/obverse/bin/python \
    --constraints requirements.lock --build-constraints requirements.lock "/build[${EXTRAS}]"

FROM python:3.11.14-slim-bookworm
# Java, and what the entry point of Spark's image uses.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless procps tini \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/lib/jvm/java-17-openjdk-* /opt/java \
    && useradd --system --uid 9999 --home-dir /var/lib/spark --create-home spark \
    && install -d -o spark /var/lib/obverse /opt/spark/work-dir
COPY --from=spark /opt/entrypoint.sh /opt/entrypoint.sh
COPY --from=packages /opt/job /opt/job
COPY --from=packages /opt/obverse /opt/obverse
COPY --from=jars /build/jars /opt/job/jars
# Drivers and executors in Kubernetes import it from here.
COPY src /opt/obverse/src
# The wheel is a whole Spark; the connector of Kafka beside its own jars.
RUN cp /opt/job/jars/*.jar /opt/job/lib/python3.11/site-packages/pyspark/jars/
ENV JAVA_HOME=/opt/java \
    SPARK_HOME=/opt/job/lib/python3.11/site-packages/pyspark \
    PYSPARK_PYTHON=/opt/job/bin/python \
    PYSPARK_DRIVER_PYTHON=/opt/job/bin/python \
    PATH=/opt/job/lib/python3.11/site-packages/pyspark/bin:/opt/obverse/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    OBVERSE_DATA=/var/lib/obverse
USER 9999
WORKDIR /opt/spark/work-dir
EXPOSE 7077 8080
ENTRYPOINT ["/opt/entrypoint.sh"]
