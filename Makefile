# The commands for visitors and developers. `make demo` and `make test` work on a fresh machine that has python3.
SHELL := /bin/sh
PORT ?= 8000
OUT ?= demo.mp4
BOT ?= livekit
UV := .uv/bin/uv

.PHONY: help demo livekit-demo setup test lint web web-check bench eval-lips eval-face attacks faults fuzz networks
.PHONY: fleet-faults
.PHONY: conformance pipecat wheels wheelhouse wheels-check arm64-check dependencies-check
.PHONY: container-check compose-check fleet-check chart-check service-check webkit-check clean

help:
	@echo "make demo                      start the server and its playground"
	@echo "make livekit-demo              an agent with a face in a LiveKit room, seen in a page (needs Go and npm);"
	@echo "                               BOT=node: an agent in Node; BOT=pipecat: a bot of Pipecat"
	@echo "make demo ONCE=1 OUT=demo.mp4  run one whole session unattended, record and check it"
	@echo "make test                      run all tests, those in a browser too"
	@echo "make lint | bench | web        static checks | benchmarks | rebuild the pages"
	@echo "make attacks                   attack a server at full size: connections, memory, event loop"
	@echo "make faults                    break a server at full size: database, stages, stopping"
	@echo "make fleet-faults              break a fleet in network namespaces for an hour (root; SECONDS=60: less)"
	@echo "make fuzz                      send whatever can be sent to a channel and as sound: half an hour"
	@echo "make conformance               run LiveKit's agents against real servers, and measure them"
	@echo "make networks                  measure the room page behind bad networks, and its start"
	@echo "make pipecat                   run bots of a real pipecat-ai with an avatar: minutes"
	@echo "make wheels                    build the sdist and a wheel for each platform into dist/"
	@echo "make wheelhouse                put it and all that it needs into a folder, to install it without a network;"
	@echo "                               MACHINE=aarch64 PYTHON=3.13 EXTRAS=postgresql: for another machine"
	@echo "make wheels-check              install the wheel by pip alone in bare roots, and run its demo: minutes"
	@echo "make arm64-check               run the wheel of arm64 by qemu, and compare its pictures: minutes"
	@echo "make dependencies-check        run tests with the lowest versions of all that is installed beside Visavis"
	@echo "make container-check           build the container without a daemon, and run it: minutes"
	@echo "make compose-check             start the Compose file by podman, with a viewer in another network: minutes"
	@echo "make fleet-check               start the Compose file of a fleet, and kill parts of it: minutes"
	@echo "make chart-check               lint and render the Helm chart, with a helm that is built once: minutes"
	@echo "make service-check             run the systemd unit under a systemd of its own: minutes"
	@echo "make webkit-check              open the room page in Debian's WebKit"
	@echo "make eval-lips                 measure the lips with the voices and recordings of this machine"
	@echo "make eval-face                 measure the faces of the public avatars on rendered frames"

demo: setup
ifdef ONCE
	@.venv/bin/visavis demo --once --out "$(OUT)"
else
	@.venv/bin/visavis demo --port "$(PORT)"
endif

livekit-demo: setup
	@PYTHONPATH=. .venv/bin/python examples/livekit_agent/run.py --bot $(BOT)

setup: .venv/.ready

# scripts/setup installs uv in an environment of its own, the locked dependencies, and a Python if the system has none
# of 3.11 to 3.14. An environment contains its own path, so a checkout that was moved gets a new one.
ifneq ($(shell cat .venv/.ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif
.venv/.ready: uv.lock pyproject.toml NOTICE scripts/setup scripts/build_native.py \
		scripts/fetch_networks.py scripts/networks.txt src/visavis/engine/portrait/networks/files.py \
		$(wildcard src/visavis/engine/native/*.[ch] src/visavis/rooms/native/*.[ch])
	@sh scripts/setup

test: setup
	@sh scripts/test

# What nobody from outside may do, at full size: minutes.
attacks: setup
	@VISAVIS_ATTACKS=full sh scripts/test tests/attacks --timeout=1800 -o faulthandler_timeout=2000

# What a server survives, at full size: minutes.
faults: setup
	@VISAVIS_FAULTS=full sh scripts/test tests/faults tests/test_disks.py tests/bench --timeout=1800 \
		-o faulthandler_timeout=4000

# What a fleet survives: three servers, four machines of stages, PostgreSQL and nginx, each in a network namespace of
# its own. Minutes of named faults, then an hour of faults at random (SECONDS=60 for less). Needs root.
fleet-faults: setup
	@[ "$$(id -u)" = 0 ] || { echo "make fleet-faults makes network namespaces: run it as root" >&2; exit 1; }
	@VISAVIS_FAULTS_S="$(or $(SECONDS),3600)" sh scripts/test tests/fleet_faults/named_faults.py \
		tests/fleet_faults/random_faults.py -x -s --timeout=0 -o faulthandler_timeout=0

# LiveKit's agents, the newest and an old release, against real servers, and pages of others: minutes. Files are named
# one by one: beside their folder pytest passes over those that are not called test_*.
conformance: setup
	@VISAVIS_CONFORMANCE=full sh scripts/test tests/livekit/*.py \
		tests/frontends/agent_page.py tests/frontends/builds.py -s --timeout=1800 -o faulthandler_timeout=2000

# What no input may do, at full size: half an hour. Guided by coverage where atheris can be installed.
fuzz: setup
	$(UV) sync --quiet --frozen --group dev --group fuzz
	@VISAVIS_FUZZ=full OPENBLAS_NUM_THREADS=1 .venv/bin/pytest tests/fuzz -s --timeout=3600 -o faulthandler_timeout=3700
	@scripts/sanitize-kernels tests/rooms/native tests/rooms/webrtc/test_send_path.py tests/fuzz/test_datagrams.py
# What viewers see behind bad networks, and how soon: minutes.
networks: setup
	@VISAVIS_NETWORKS=full sh scripts/test tests/networks -s --timeout=1800 -o faulthandler_timeout=2000

# Bots of a real pipecat-ai with an avatar, the long tests too: minutes.
pipecat: setup
	@VISAVIS_PIPECAT=full sh scripts/test tests/pipecat/*.py -s --timeout=1900 -o faulthandler_timeout=2000

wheels: setup
	@scripts/wheels

wheelhouse: wheels
	@scripts/wheelhouse "$(MACHINE)" "$(PYTHON)" "$(EXTRAS)"

# The wheel in bare Debians and Ubuntus, as their users install it: minutes. Needs root.
wheels-check: wheels
	@scripts/check-wheels

# The wheel of arm64 by qemu, with Debian's Python. Needs root on Debian x86-64.
arm64-check: wheels
	@scripts/check-arm64

# The lowest versions that pyproject.toml allows, in an environment of their own: minutes.
dependencies-check: setup
	@scripts/check-dependencies lowest

# The image of deploy/Containerfile, built by buildah and run by podman: minutes. Needs root.
container-check: wheels
	@scripts/check-container

# deploy/compose.yaml, started by podman with the image of container-check. Needs root.
compose-check: container-check
	@scripts/check-compose

# deploy/fleet/compose.yaml, started by podman with the image of container-check. Needs root, and Go.
fleet-check: container-check
	@scripts/check-fleet

# deploy/helm/visavis, by a helm that is built from its Go module: minutes, once. Needs Go.
chart-check: setup
	@sh scripts/test tests/helm/*.py

# The unit of examples/production under a real systemd: minutes. Needs root.
service-check: wheels
	@scripts/check-service

# The room page in a real WebKit. Needs root on Debian.
webkit-check: setup
	@scripts/check-webkit

lint: setup
	$(UV) sync --quiet --frozen --group dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python scripts/check_columns.py

web:
	cd web && npm ci && npm run build

bench: setup
	.venv/bin/visavis bench render
	.venv/bin/visavis bench pipeline
	.venv/bin/visavis bench startup
	.venv/bin/visavis bench interrupt

# Reports missing synthesisers and a missing ../shared, and measures the rest. PAGE=docs writes the tables into
# docs/lips.md, and the figures and the picture beside it.
eval-lips: setup
	OPENBLAS_NUM_THREADS=1 PYTHONPATH=. .venv/bin/python -m training.eval_lips $(if $(PAGE),--write $(PAGE)) $(ARGS)

# PAGE=docs/face.md writes the table into that page. Fails if a figure is out of its bounds.
eval-face: setup
	OPENBLAS_NUM_THREADS=1 PYTHONPATH=. .venv/bin/python -m tools.faces.evaluate $(if $(PAGE),--write $(PAGE))

clean:
	rm -rf .venv .uv web/node_modules
