#!/bin/sh
# All tests: tests/run.sh PYTHON [ARGUMENTS OF PYTEST ...]
#
# Those marked `alone` start nodes and wait for them most of the time: they come first and are seen as they go. All others run meanwhile, on
# what they leave of two cores and by the lowest priority, and are seen when the first are through. What takes long to make is made once.
set -u
python=$1
shift
PS3_TESTS_SHARED=$(mktemp -d)
export PS3_TESTS_SHARED
rest=
trap 'test -z "$rest" || kill "$rest" 2>/dev/null; rm -rf "$PS3_TESTS_SHARED"' EXIT
trap 'exit 130' INT TERM

log=$PS3_TESTS_SHARED/rest.log
nice -n 19 "$python" -m pytest -m "not alone" -n 2 --dist loadfile tests "$@" >"$log" 2>&1 &
rest=$!
"$python" -m pytest -m alone tests/ps3_ros tests/benchmarks "$@"
alone=$?
tail -n +1 -f --pid="$rest" "$log"
wait "$rest"
others=$?
rest=
[ "$alone" -eq 0 ] && exit "$others"
exit "$alone"
