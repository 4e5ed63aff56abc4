"""The log through the Python face: who is told, when, and on which thread."""

import os
import threading
import unittest

import voxfeed
from support import Case, loader_of, run_python, volume


class Log(Case):
    def setUp(self):
        Case.setUp(self)
        self.addCleanup(voxfeed.set_log, None)
        self.told = []
        voxfeed.save_volume(self.path("scan.nii.gz"), volume((4, 5, 6)))

    def keep(self, level, line):
        self.told.append((level, line))

    def say_something(self):
        """Reads a volume whose index cannot be kept: the folder for it is gone. One warning."""
        folder = self.path("indexes")
        os.mkdir(folder)
        dataset = voxfeed.Dataset(self.path("scan.nii.gz"), seek_index="always", index_folder=folder)
        os.rmdir(folder)
        dataset.read(0, "images")

    def on_a_thread(self, call):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    def test_lines_wait_until_they_are_asked_for(self):
        voxfeed.set_log(self.keep)
        self.say_something()
        self.on_a_thread(self.say_something)
        self.assertEqual(self.told, [])
        voxfeed.process_events()
        self.assertEqual([level for level, _ in self.told], ["warning"] * 2)
        self.assertIn("scan.nii.gz: its index is not kept", self.told[0][1])
        voxfeed.process_events()
        self.assertEqual(len(self.told), 2)
        voxfeed.set_log(None)
        self.say_something()
        voxfeed.process_events()
        self.assertEqual(len(self.told), 2)

    def test_who_waits_for_a_batch_is_told_meanwhile(self):
        loader = loader_of(batch_size=2)
        voxfeed.set_log(self.keep, level="warning")
        epoch = loader.epoch(0)
        self.say_something()
        next(epoch)
        self.assertEqual(len(self.told), 1)
        held = [next(epoch) for _ in range(loader.stats().slots)]
        while len(self.told) == 1:
            with self.assertRaises(voxfeed.TimedOut):
                loader.next_batch(timeout=0.3)
        self.assertEqual(self.told[1], ("warning", "all 3 slots are held: release batches or raise prefetch"))
        del held

    def test_what_a_listener_raises_costs_no_line_and_no_batch(self):
        loader = loader_of(batch_size=2)
        expected = [batch.samples for batch in loader.epoch(0)]

        def refuse(level, line):
            self.keep(level, line)
            raise KeyError(line)

        voxfeed.set_log(refuse)
        self.say_something()
        self.say_something()
        epoch, found = loader.epoch(0), []
        for _ in range(2):
            with self.assertRaises(KeyError):
                next(epoch)
        self.assertEqual([batch.samples for batch in epoch], expected)
        self.assertEqual(len(self.told), 2)

    def test_a_direct_listener_is_told_at_once_on_any_thread(self):
        threads = []

        def look(level, line):
            threads.append(threading.current_thread())
            for call in (lambda: voxfeed.set_log(None), voxfeed.process_events):
                with self.refused(voxfeed.StateError, "callback"):
                    call()
            self.keep(level, line)

        voxfeed.set_log(look, mode="direct")
        self.say_something()
        self.on_a_thread(self.say_something)
        self.assertEqual(len(self.told), 2)
        self.assertEqual((threads[0], threads[1]) == (threading.current_thread(),) * 2, False)
        voxfeed.set_log(look, level=voxfeed.LOG_LEVEL_ERROR, mode=voxfeed.LOG_MODE_DIRECT)
        self.say_something()
        self.assertEqual(len(self.told), 2)

    def test_warn_and_warning_are_the_same_level_here_and_in_the_environment(self):
        for word in ("warn", "warning", u"warn"):
            del self.told[:]
            voxfeed.set_log(self.keep, level=word)
            self.say_something()
            voxfeed.process_events()
            self.assertEqual([level for level, _ in self.told], ["warning"])
        code = ("import os, sys, voxfeed\n"
                "os.mkdir(sys.argv[2])\n"
                "data = voxfeed.Dataset(sys.argv[1], seek_index='always', index_folder=sys.argv[2])\n"
                "os.rmdir(sys.argv[2])\n"
                "data.read(0, 'images')\n")
        for word, printed in (("warn", True), ("warning", True), ("info", True), ("error", False), ("off", False)):
            status, output, errors = run_python(code, self.path("scan.nii.gz"), self.path(word),
                                                environment={"VXF_LOG": word})
            self.assertEqual((status, output, "voxfeed: warning: " in errors), (0, "", printed), word)
            self.assertIn('"%s"' % word, voxfeed.set_log.__doc__)

    def test_what_is_no_listener_is_refused(self):
        with self.refused(TypeError, "called"):
            voxfeed.set_log("print")
        with self.refused(ValueError, "level", "warning"):
            voxfeed.set_log(self.keep, level="loud")
        with self.refused(ValueError, "mode", "queued"):
            voxfeed.set_log(self.keep, mode="later")
        with self.refused(voxfeed.ArgumentError, "level"):
            voxfeed.set_log(self.keep, level=17)

    def test_a_listener_may_stay_until_the_end(self):
        code = ("import os, sys, voxfeed\n"
                "voxfeed.set_log(lambda level, line: sys.stdout.write(level), mode=sys.argv[2])\n"
                "os.mkdir(sys.argv[1] + '.d')\n"
                "data = voxfeed.Dataset(sys.argv[1], seek_index='always', index_folder=sys.argv[1] + '.d')\n"
                "os.rmdir(sys.argv[1] + '.d')\n"
                "data.read(0, 'images')\n")
        for mode, expected in (("direct", "warning"), ("queued", "")):
            self.assertEqual(run_python(code, self.path("scan.nii.gz"), mode), (0, expected, ""))


if __name__ == "__main__":
    unittest.main()
