# Python's own tests, one process for each module, without those that need a network, a screen or much time.
for module in $(cat /software/python-tests); do
  python3.11 /software/python-tests.py "$module"
done
