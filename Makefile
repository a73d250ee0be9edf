# Everything that people run. Each target does its own set-up; `.venv` is the environment.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
EXAMPLES ?= 10000
SLOWER ?= 1000
WINDOWED ?= 200
KILLS ?= 500
IDENTITY ?= 1000000
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo up console pictures test check fuzz chaos identity figures unit lint types imports bench clean lock format openapi kafka flink engines deploy-tools deploy-check spark engines-flink engines-spark grown

demo: .venv/ready .venv/console  ## run everything with six weeks of a real shop's orders
	$(BIN)/obverse demo $(ARGS)

up: .venv/ready .venv/console  ## run everything, without the data
	$(BIN)/obverse up $(ARGS)

test: .venv/ready .venv/console tests/node_modules/ready .venv/kafka/ready .venv-flink/ready .venv-spark/ready .venv/deploy/ready  ## the tests; starts what it needs. Long ones are targets of their own: chaos, fuzz, identity, figures, engines, grown
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

console: .venv/console  ## build the console's pages

check: .venv/ready lint types imports unit  ## lint, types, imports, unit tests: five minutes on two cores

fuzz: .venv/ready  ## send anything to the collector, for a quarter of an hour; EXAMPLES=1000 for less
	OBVERSE_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -n 2 tests/unit/test_wire_any.py tests/unit/test_collector_any.py $(ARGS)

chaos: .venv/ready .venv/kafka/ready  ## kill -9 under load: 500 times, and at every point between two words with the database; KILLS=50 for less
	OBVERSE_KILLS=$(KILLS) OBVERSE_POINTS=1000 $(BIN)/pytest -q -s tests/acceptance/test_kills.py \
		tests/acceptance/test_crash_points.py tests/acceptance/test_disk_faults.py tests/acceptance/test_demo_kafka.py \
		tests/acceptance/test_demo_kinesis.py tests/acceptance/test_collectors.py $(ARGS)

# EXAMPLES=1000 SLOWER=100 WINDOWED=20 IDENTITY=10000 for less. What is promised of windows, clocks, occurrences and profiles that
# are full takes longer an example, so it has fewer, ten minutes of a busy core at most: each law of windows runs for twelve kinds over nine windows.
# The last part runs in one process: a million take half of the memory of a small machine.
identity: .venv/ready  ## identity at length: 100 orders, a storm of a million merges, a million who share a device
	OBVERSE_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -n 2 tests/contract/test_lattices.py tests/contract/test_trait_kinds.py \
		tests/unit/test_order.py tests/unit/test_turning_audiences.py tests/unit/test_resolution.py tests/unit/test_sharing.py \
		tests/unit/test_unmerging.py tests/unit/test_unmerging_again.py tests/unit/test_asking_again.py tests/unit/test_history.py \
		tests/unit/test_dry_run.py --deselect tests/contract/test_lattices.py::TestFullProfile $(ARGS)
	OBVERSE_EXAMPLES=$(SLOWER) $(BIN)/pytest -q -n 2 tests/contract/test_lattices.py::TestFullProfile \
		tests/contract/test_occurrences.py tests/unit/test_turning.py $(ARGS)
	OBVERSE_EXAMPLES=$(WINDOWED) $(BIN)/pytest -q -n 2 tests/contract/test_windowed_kinds.py $(ARGS)
	OBVERSE_EVENTS=10000 OBVERSE_ORDERS=100 OBVERSE_ENGINES=5 OBVERSE_SCHEDULES=200 OBVERSE_STORM=$(IDENTITY) \
		OBVERSE_STORM_THROUGH_ENGINE=$(IDENTITY) OBVERSE_SHARING=$(IDENTITY) \
		$(BIN)/pytest -q -s -n 0 tests/unit/test_permutations.py tests/unit/test_merge_races.py tests/unit/test_merge_storm.py \
		tests/unit/test_super_node.py tests/acceptance/test_naughty_strings.py tests/acceptance/test_dry_run.py $(ARGS)

figures: .venv/ready  ## traits of every customer of two real shops, as SQL has them: a quarter of an hour, 4 GB
	OBVERSE_SHOP_PART=1 $(BIN)/pytest -q -n 0 tests/acceptance/test_trait_figures.py --durations=2 $(ARGS)

engines: engines-flink engines-spark  ## the suite of engines in Flink and in Spark, and what of them is killed: one hour and a half

engines-flink: .venv/ready .venv/kafka/ready .venv-flink/ready  ## in Flink, also what is saved and rescaled: half an hour
	OBVERSE_FLINK_EVENTS=30000 $(BIN)/pytest -q -n 0 tests/acceptance/test_flink.py tests/acceptance/test_flink_fold.py \
		tests/acceptance/test_shop_grown.py tests/acceptance/test_bench_grown.py tests/contract/test_engine_flink.py $(ARGS)

engines-spark: .venv/ready .venv/kafka/ready .venv-spark/ready  ## in Spark: an hour
	OBVERSE_SPARK_EVENTS=30000 OBVERSE_SPARK_ROUNDS=5 $(BIN)/pytest -q -n 0 tests/acceptance/test_spark.py \
		tests/acceptance/test_spark_folds.py tests/acceptance/test_shop_grown.py tests/acceptance/test_bench_grown.py tests/contract/test_engine_spark.py $(ARGS)

ENGINE ?= flink
grown: .venv/ready .venv/console .venv/kafka/ready .venv-$(ENGINE)/ready  ## everything as processes of its own, killed amid the demo; ENGINE=spark
	OBVERSE_GROWN=$(ENGINE) $(BIN)/pytest -q -s -n 0 tests/acceptance/test_grown.py $(ARGS)

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/ready
	$(BIN)/mypy

imports: .venv/ready
	$(BIN)/lint-imports

unit: .venv/ready
	$(BIN)/pytest -q -n 2 --dist worksteal -m unit tests/unit tests/contract $(ARGS)

pictures: .venv/ready .venv/console  ## take the console's pictures in docs/ anew
	OBVERSE_PICTURES=$(CURDIR)/docs/pictures $(BIN)/pytest -q tests/acceptance/test_console.py tests/acceptance/test_builder.py \
		tests/acceptance/test_console_loads.py -k "deep_link or builder or loads"

bench: .venv/ready  ## events a second, and how soon they are visible
	$(BIN)/obverse bench road $(ARGS)

format: .venv/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

openapi: .venv/ready  ## write the committed API document anew
	$(BIN)/python -m obverse.apps.api.openapi

lock: .venv/ready  ## resolve the dependencies anew, for Python 3.11 to 3.14
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -q -o requirements.lock
	$(BIN)/uv pip compile requirements-flink.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -q -o requirements-flink.lock
	$(BIN)/uv pip compile requirements-spark.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -q -o requirements-spark.lock

# uv comes by pip, with its hash; everything else by uv, with theirs.
.venv/ready: requirements.lock requirements-uv.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

# Needs Node, the machine's or the wheel's, and what console/package-lock.json names.
.venv/console: console/package-lock.json $(wildcard console/*.*) $(shell find console/src -type f -not -path '*/generated/*') src/obverse/apps/api/openapi.json .venv/ready
	sh console/build.sh
	touch $@

# The Node SDK that one test sends with. Node is the machine's, else the wheel's.
tests/node_modules/ready: tests/package-lock.json .venv/ready
	sh tests/install_node_packages.sh

kafka: .venv/kafka/ready  ## get Apache Kafka, for the demo and the benchmarks with `--log kafka`

# The brokers of the Kafka sandbox run from these jars. Needs Maven and Java 17 (on Debian: apt-get install maven openjdk-17-jre-headless).
.venv/kafka/ready: src/obverse/sandboxes/kafka/pom.xml .venv/ready
	sh tests/install_kafka.sh

flink: .venv-flink/ready  ## get Apache Flink, for `engine = "flink"`: 740 MB, in an environment of its own

.venv-flink/ready: requirements-flink.lock src/obverse/adapters/flink/pom.xml .venv/ready
	sh tests/install_flink.sh

deploy-tools: .venv/deploy/ready  ## build helm, kubeconform and a reader of compose files

deploy-check: .venv/ready .venv/deploy/ready  ## check the images, the compose file and the chart of deploy/
	$(BIN)/pytest -q -n 0 tests/unit/test_compose.py tests/unit/test_dockerfiles.py tests/acceptance/test_compose_read.py \
		tests/acceptance/test_chart.py tests/acceptance/test_apart.py $(ARGS)

# From Go modules, two to five minutes the first time on two cores; Go keeps what it has built, so seconds afterwards.
.venv/deploy/ready: tests/install_deploy_tools.sh tests/deploy_schemas.py $(wildcard deploy/tools/*.* deploy/tools/compose/*) .venv/ready
	sh tests/install_deploy_tools.sh

spark: .venv-spark/ready  ## get Apache Spark, for `engine = "spark"`: 800 MB, in an environment of its own

.venv-spark/ready: requirements-spark.lock src/obverse/adapters/spark/pom.xml .venv/ready
	sh tests/install_spark.sh

clean:
	rm -rf .venv .venv-flink .venv-spark demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/node_modules dist \
		console/node_modules console/src/api/generated src/obverse/apps/console/pages
