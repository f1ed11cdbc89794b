# Two commands do all the set-up: `make demo` runs the main job on the default model, `make test` passes the tests.
# Both make .venv with PYTHON (3.10 to 3.12, for which ROS 2 comes as wheels).
PYTHON ?= python3
VENV ?= .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# ROS 2 from wheels must not see packages of a sourced ROS installation of another Python.
RUN := env -u PYTHONPATH $(VENV)/bin/python

.PHONY: demo test lint clean

demo: $(VENV)/.robot
	$(RUN) -m ps3_ros.cli demo --out demo_out

test: $(VENV)/.test
	env -u PYTHONPATH tests/run.sh $(VENV)/bin/python

lint: $(VENV)/.test
	$(PIP) "ruff>=0.6,<1"
	$(RUN) -m ruff check .

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 10) <= sys.version_info[:2] <= (3, 12) else "ps3_ros: $(PYTHON) is Python %d.%d; name one of 3.10 to 3.12 with make PYTHON=..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

# What a robot without ROS needs: no torch.
$(VENV)/.robot: $(VENV)/bin/python setup.py constraints.txt
	$(PIP) -e ".[ros-wheels]"
	touch $@

# Everything: the torch side and the tests.
$(VENV)/.test: $(VENV)/bin/python setup.py constraints.txt
	$(PIP) -e ".[ros-wheels,export,train,teacher,test,openvino,preflight]"
	touch $@ $(VENV)/.robot

clean:
	rm -rf $(VENV) demo_out build dist *.egg-info
