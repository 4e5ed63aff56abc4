"""The face on the oldest Python that it promises to run on, and the same walk on this one."""

import os
import subprocess
import sys
import unittest

import support
import voxfeed
from support import Case

HERE = os.path.dirname(os.path.abspath(__file__))


class Legacy(Case):
    def walk(self, *python):
        environment = dict(os.environ, PYTHONPATH=support.FACE, VXF_LIBRARY=os.path.abspath(voxfeed.library_path()),
                           PYTHONDONTWRITEBYTECODE="1")
        process = subprocess.run(list(python) + [os.path.join(HERE, "legacy_smoke.py"), self.folder],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
                                 env=environment, timeout=120)
        self.assertEqual(process.returncode, 0, process.stdout)
        return process.stdout.split()

    def test_this_python(self):
        self.assertEqual(self.walk(sys.executable)[:2], ["done", str(sys.version_info[0])])

    def test_python_2_7_with_numpy_1_16(self):
        # Kept between runs beside what else ./x keeps there.
        kept = os.path.join(support.ROOT, ".x", "python27")
        python = os.path.join(kept, "python27")
        if not os.path.exists(python):
            try:
                process = subprocess.run([os.path.join(HERE, "legacy.sh"), kept, sys.executable], timeout=180,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
            except subprocess.TimeoutExpired:
                self.skipTest("Debian 11's python2.7 did not come within 180 seconds")
            if process.returncode == 77:
                self.skipTest(process.stdout.strip().splitlines()[-1])
            self.assertEqual(process.returncode, 0, process.stdout)
        self.assertEqual(self.walk(python), ["done", "2", "1.16.6", voxfeed.version()])


if __name__ == "__main__":
    unittest.main()
