# Python's own tests, one process for each module, without those that need a network, a screen or much time. Behind a module stand tests
# that are left out.
status=0
while read -r module without; do
  # shellcheck disable=SC2086 # names without spaces
  python3.11 /software/python-tests.py "$module" $without </dev/null || status=1
done </software/python-tests
exit $status
