"""python-tests.py MODULE [NAME…]: runs one module of Python's tests, but those NAMEs, and prints what came of it, without times."""
import importlib
import io
import os
import sys
import unittest

from test import support

# As `python -m test` does without -u: what needs resources is skipped.
support.use_resources = []
support.verbose = False

name, *left_out = sys.argv[1:]
os.makedirs('/tmp/python', exist_ok=True)
os.chdir('/tmp/python')


def tests_in(suite):
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests_in(each)
        elif each.id().rpartition('.')[2] not in left_out:
            yield each


results = []


def run(*sources):
    """Each source: a class with tests, or a suite."""
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(s if isinstance(s, unittest.TestSuite) else loader.loadTestsFromTestCase(s) for s in sources)
    results.append(unittest.TextTestRunner(stream=io.StringIO()).run(unittest.TestSuite(tests_in(suite))))


# Some modules choose their tests themselves, in test_main, which hands them over to this function.
support.run_unittest = run
module = importlib.import_module('test.' + name)
# What tests print themselves goes nowhere: it may hold addresses.
real = os.dup(1)
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)
if hasattr(module, 'test_main'):
    module.test_main()
else:
    run(unittest.defaultTestLoader.loadTestsFromModule(module))
sys.stdout.flush()
os.dup2(real, 1)

bad = [each for result in results for each in result.failures + result.errors]
print(f'{name}: {sum(r.testsRun for r in results)} run, {sum(len(r.skipped) for r in results)} skipped, {len(bad)} failed', flush=True)
for test, reason in bad:
    print(f'  {test.id()}: {reason.strip().splitlines()[-1]}', flush=True)
os._exit(1 if bad else 0)
