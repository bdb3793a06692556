"""python-tests.py MODULE: runs one module of Python's tests and prints what came of it, without times."""
import io
import os
import sys
import unittest

from test import support

# As `python -m test` does without -u: what needs resources is skipped.
support.use_resources = []
support.verbose = False

name = sys.argv[1]
os.makedirs('/tmp/python', exist_ok=True)
os.chdir('/tmp/python')
suite = unittest.defaultTestLoader.loadTestsFromName('test.' + name)
# What tests print themselves goes nowhere: it may hold addresses.
real = os.dup(1)
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)
result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
sys.stdout.flush()
os.dup2(real, 1)

bad = result.failures + result.errors
print(f'{name}: {result.testsRun} run, {len(result.skipped)} skipped, {len(bad)} failed', flush=True)
for test, reason in bad:
    print(f'  {test.id()}: {reason.strip().splitlines()[-1]}', flush=True)
os._exit(1 if bad else 0)
