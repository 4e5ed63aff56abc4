"""Who owns what: views, handles and threads, in any order of release, and after a fork."""

import copy
import ctypes
import itertools
import os
import pickle
import threading
import unittest
import warnings

import numpy

import support
import voxfeed
from support import Case, collect, count, grid, loader_of, small, volume


class Lives(Case):
    def test_views_keep_their_batch_alive(self):
        loader = loader_of(batch_size=2, prefetch=1)
        batch = next(loader.epoch(0))
        view = batch["images"]
        self.assertIn("images", batch.categories)
        expected, part = view.copy(), view[:, 0, 1:]
        self.assertTrue(view.flags.writeable)
        self.assertEqual(loader.stats().held, 1)
        del view
        batch.close()
        del batch
        loader.close()
        del loader
        collect()
        part += 1
        self.same(part, expected[:, 0, 1:] + 1)

    def test_the_last_view_gives_the_memory_back(self):
        loader = loader_of(batch_size=2)
        epoch = loader.epoch(0)
        batch = next(epoch)
        views = [batch["images"], batch["labels"], batch["images"][0, 0]]
        del batch
        for left in range(len(views), 0, -1):
            collect()
            self.assertEqual(loader.stats().held, 1, left)
            views.pop()
        collect()
        self.assertEqual(loader.stats().held, 0)

    def test_two_views_show_the_same_memory(self):
        batch = next(loader_of().epoch(0))
        one, other = batch["images"], batch.tensor("images")
        one[...] = 7
        self.same(other, one)
        self.assertEqual(batch.tensor().ctypes.data, one.ctypes.data)
        with self.refused(voxfeed.NotFoundError, "images", "labels"):
            batch["image"]
        with self.assertRaises(TypeError):
            iter(batch)

    def test_any_order_of_release_leaves_the_others_working(self):
        names = ["dataset", "sampler", "transform", "loader", "assembler", "batch"]
        source = small().read(0, "images", "T1")[:3, :4, :4] * 2.0
        for order in itertools.permutations(names):
            objects = {"dataset": small()}
            objects["sampler"] = grid(objects["dataset"])
            objects["transform"] = voxfeed.Transform({"name": "scale", "category": "images", "slope": 2})
            objects["loader"] = voxfeed.Loader(objects["sampler"], transform=objects["transform"], threads=1,
                                               categories={"name": "images", "dtype": "f64"})
            objects["assembler"] = voxfeed.Assembler(objects["loader"])
            objects["batch"] = next(objects["loader"].epoch(0))
            view = objects["batch"]["images"]
            for name in order:
                if "batch" in objects and "assembler" in objects and len(objects) == 3:
                    objects["assembler"].add(objects["batch"], view)
                objects.pop(name).close()
            self.same(view[0, 0], source, order)

    def test_what_is_closed_says_so(self):
        dataset = small()
        sampler = grid(dataset)
        loader = voxfeed.Loader(sampler)
        batch = next(loader.epoch(0))
        transform, assembler = voxfeed.Transform([]), voxfeed.Assembler(loader)
        writer = voxfeed.Writer(self.path("a.h5"))
        for thing, use in [(batch, lambda: batch["images"]), (loader, lambda: loader.next_batch()),
                           (sampler, lambda: len(sampler)), (dataset, lambda: len(dataset)),
                           (transform, lambda: voxfeed.Loader(sampler, transform=transform)),
                           (assembler, lambda: assembler.next_complete()), (writer, lambda: writer.finish())]:
            thing.close()
            thing.close()
            with self.refused(voxfeed.HandleError, "closed"):
                use()

    def test_nothing_is_pickled_or_copied(self):
        dataset = small()
        loader = voxfeed.Loader(grid(dataset))
        for thing in (dataset, grid(dataset), voxfeed.Transform([]), loader, next(loader.epoch(0)),
                      voxfeed.Assembler(loader)):
            with self.refused(TypeError, "cannot be pickled", type(thing).__name__):
                pickle.dumps(thing)
            for way in (copy.copy, copy.deepcopy):
                with self.refused(TypeError, "cannot be copied"):
                    way(thing)

    def test_errors_can_be_pickled(self):
        try:
            voxfeed.Dataset(self.path("none.nii"))
        except voxfeed.NotFoundError as error:
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((str(again), again.path, again.status), (str(error), error.path, -8))
            self.assertIn("none.nii", error.path)

    def test_handles_of_another_kind_are_refused(self):
        with self.assertRaises(ctypes.ArgumentError):
            voxfeed._lib.sampler_len(small()._own, ctypes.byref(ctypes.c_uint64()))

    def test_many_loaders_come_and_go(self):
        sampler = grid(small())
        for _ in range(200):
            next(voxfeed.Loader(sampler, batch_size=2, threads=2).epoch(0))


class Epochs(Case):
    """An iterator gives the batches of the epoch that it was made for, and of no other."""

    def over(self, epoch):
        for _ in range(2):
            with self.refused(voxfeed.StateError, "begun anew", "iterate over what", "need another loader"):
                next(epoch)

    def test_an_old_epoch_gives_no_batch_of_a_new_one(self):
        loader = loader_of(batch_size=2)
        state = loader.save_state()
        for begin in (lambda: loader.epoch(1), lambda: loader.epoch(0), lambda: loader.start(3),
                      lambda: loader.load_state(state)):
            old, ended = loader.epoch(0), loader.epoch(0)
            self.over(old)
            count(ended)
            current = begin()
            self.assertIsNone(next(ended, None), "an iterator that has ended stays at its end")
            self.assertEqual(count(loader if current is None else current), len(loader))
            self.over(old)

    def test_an_old_epoch_stays_over_when_the_new_one_is_cancelled_or_closed(self):
        loader = loader_of(batch_size=2)
        old = loader.epoch(0)
        next(old)
        loader.epoch(1)
        loader.cancel()
        self.over(old)
        loader.epoch(2)
        loader.close()
        with self.refused(voxfeed.HandleError, "closed"):
            next(old)

    def test_iterators_of_one_epoch_share_it(self):
        loader = loader_of(batch_size=2)
        early = iter(loader)
        with self.refused(voxfeed.StateError, "not started"):
            next(early)
        epoch = loader.epoch(0)
        iterators = [epoch, iter(epoch), iter(loader), early]
        found = [next(one).samples[0].position for one in iterators for _ in range(2)]
        self.assertEqual(found, list(range(0, 16, 2)))
        for one in iterators:
            self.assertIsNone(next(one, None))
        loader.start(1)
        for one in iterators:
            self.assertIsNone(next(one, None))

    def test_a_cancelled_or_closed_loader_says_so_to_its_epoch(self):
        loader = loader_of(batch_size=2)
        epoch = loader.epoch(0)
        loader.cancel()
        with self.refused(voxfeed.Cancelled):
            next(epoch)
        again = loader.epoch(0)
        self.over(epoch)
        self.assertEqual(count(again), len(loader))
        last = loader.epoch(1)
        loader.close()
        with self.refused(voxfeed.HandleError, "closed"):
            next(last)

    def test_a_place_that_is_refused_leaves_the_epoch_going(self):
        loader = loader_of(batch_size=2)
        epoch = loader.epoch(0)
        next(epoch)
        with self.refused(voxfeed.ArgumentError):
            loader.load_state("{}")
        with self.refused(ValueError, "epoch is -1"):
            loader.start(-1)
        self.assertEqual(count(epoch), len(loader) - 1)

    def waiting(self, call):
        """A thread that waits in a call, and where its outcome will be."""
        outcome = []

        def wait():
            try:
                outcome.append(call())
            except voxfeed.Error as error:
                outcome.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.05)
        self.assertEqual(outcome, [])
        return thread, outcome

    def test_a_place_that_is_refused_leaves_those_that_wait_waiting(self):
        loader = loader_of(batch_size=2, prefetch=1)
        epoch = loader.epoch(0)
        held = [next(epoch) for _ in range(loader.stats().slots)]
        thread, outcome = self.waiting(lambda: next(epoch).samples[0].position)
        with self.refused(voxfeed.ArgumentError):
            loader.load_state("{}")
        held.clear()
        thread.join(60)
        # Whether it noticed or not, no batch is lost or given twice.
        self.assertEqual(outcome, [4])
        self.assertEqual([batch.samples[0].position for batch in epoch], list(range(6, 16, 2)))

    def test_who_waits_for_any_batch_gets_one_of_the_new_epoch(self):
        loader = loader_of(batch_size=2, prefetch=1)
        old = loader.epoch(0)
        held = [next(old) for _ in range(loader.stats().slots)]
        any_thread, any_batch = self.waiting(lambda: loader.next_batch().samples[0].epoch)
        old_thread, old_batch = self.waiting(lambda: next(old).samples)
        loader.start(1)
        held.clear()
        any_thread.join(60)
        old_thread.join(60)
        self.assertEqual(any_batch, [1])
        self.assertIsInstance(old_batch[0], voxfeed.StateError)

    def test_a_thread_that_waits_in_an_old_epoch_gets_no_batch_of_the_new_one(self):
        loader = loader_of(batch_size=2, prefetch=1)
        for _ in range(20):
            old = loader.epoch(0)
            held = [next(old) for _ in range(loader.stats().slots)]
            thread, outcome = self.waiting(lambda: next(old).samples)
            new = loader.epoch(1)
            held.pop()
            thread.join(60)
            self.assertIsInstance(outcome[0], voxfeed.StateError)
            self.assertIn("begun anew", str(outcome[0]))
            held.clear()
            self.assertEqual([batch.samples[0].position for batch in new], list(range(0, 16, 2)))


class Threads(Case):
    def test_threads_share_an_epoch(self):
        loader = loader_of(batch_size=3, threads=2, prefetch=4)
        loader.start(0)
        found, lock = [], threading.Lock()

        def work():
            for batch in loader:
                with lock:
                    found.extend(sample.position for sample in batch.samples)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(sorted(found), list(range(len(grid(small())))))

    def test_cancel_wakes_a_thread_that_waits(self):
        loader = loader_of(prefetch=1)
        epoch = loader.epoch(0)
        held = [next(epoch) for _ in range(loader.stats().slots)]
        outcome = []

        def wait():
            try:
                outcome.append(loader.next_batch())
            except voxfeed.Error as error:
                outcome.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.3)
        self.assertTrue(thread.is_alive())
        loader.cancel()
        thread.join(60)
        self.assertIsInstance(outcome[0], voxfeed.Cancelled)
        del held
        self.assertEqual(count(loader.epoch(1)), len(loader))

    def test_close_in_one_thread_ends_the_wait_of_another(self):
        loader = loader_of(prefetch=1)
        epoch = loader.epoch(0)
        held = [next(epoch) for _ in range(loader.stats().slots)]
        outcome = []

        def wait():
            try:
                outcome.append(loader.next_batch())
            except voxfeed.Error as error:
                outcome.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.3)
        self.assertTrue(loader.close(30))
        thread.join(60)
        self.assertIsInstance(outcome[0], (voxfeed.Cancelled, voxfeed.StateError, voxfeed.HandleError))
        self.assertEqual(held[0]["images"].shape[0], 1)

    def test_time_is_up_and_nothing_is_lost(self):
        loader = loader_of(prefetch=1)
        epoch = loader.epoch(0)
        held = [next(epoch) for _ in range(loader.stats().slots)]
        with self.refused(voxfeed.TimedOut, "0.01 seconds"):
            loader.next_batch(timeout=0.01)
        given = len(held)
        del held
        collect()
        self.assertEqual(given + count(epoch), len(loader))

    def test_holding_every_batch_is_warned_of(self):
        loader = loader_of(prefetch=1)
        loader._HELD_SECONDS = 0.05
        epoch = loader.epoch(0)
        held = [next(epoch) for _ in range(loader.stats().slots)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with self.assertRaises(voxfeed.TimedOut):
                loader.next_batch(timeout=0.5)
        self.assertIn("all %d batches" % len(held), str(caught[0].message))
        self.assertEqual((len(caught), caught[0].filename), (1, __file__))

    def test_holding_every_batch_is_told_to_the_log_alone_where_there_is_one(self):
        loader = loader_of(prefetch=1)
        loader._HELD_SECONDS = 0.05
        epoch = loader.epoch(0)
        held = [next(epoch) for _ in range(loader.stats().slots)]
        self.addCleanup(voxfeed.set_log, None)
        voxfeed.set_log(lambda level, line: None)
        for expected in (0, 1):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                with self.assertRaises(voxfeed.TimedOut):
                    loader.next_batch(timeout=0.5)
            self.assertEqual(len(caught), expected)
            voxfeed.set_log(None)
        del held

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_loader_is_refused_after_a_fork(self):
        loader = loader_of(batch_size=2)
        epoch = loader.epoch(0)
        first = next(epoch)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            text = "nothing raised"
            try:
                loader.next_batch()
            except voxfeed.ForkedError as error:
                text = str(error)
            finally:
                os.write(writing, text.encode())
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertIn("spawn", text)
        self.assertIn("in the process that uses it", text)
        self.assertEqual(len(first) + sum(len(batch) for batch in epoch), len(grid(small())))

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_child_makes_its_own_loader_of_an_inherited_dataset(self):
        dataset = small()
        parent = voxfeed.Loader(grid(dataset))
        next(parent.epoch(0))
        batches = len(parent)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if count(voxfeed.Loader(grid(dataset), threads=2).epoch(0)) == batches else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)


class Output(Case):
    def test_a_writer_keeps_its_file_only_when_finished(self):
        path = self.path("a.h5")
        with self.assertRaises(KeyError):
            with voxfeed.Writer(path) as writer:
                writer.add_subject("a")
                raise KeyError("given up")
        self.assertFalse(os.path.exists(path))
        with voxfeed.Writer(path) as writer:
            writer.add_subject("a")
            writer.add_entry("images", "T1", volume((3, 4, 5)))
        self.same(voxfeed.Dataset(path).read("a", "images", "T1"), volume((3, 4, 5)))
        with self.refused(voxfeed.ArgumentError, "a.h5"):
            voxfeed.Writer(path)
        with voxfeed.Writer(path, existing="replace") as writer:
            self.assertTrue(writer.add_dataset(small()))
            writer.finish()
            with self.refused(voxfeed.StateError):
                writer.finish()
        self.assertEqual(voxfeed.Dataset(path).ids, ["a", "b"])

    def test_progress_is_told_and_can_stop(self):
        calls = []
        with voxfeed.Writer(self.path("a.h5")) as writer:
            self.assertTrue(writer.add_dataset(small(), lambda done, total: calls.append((done, total))))
        self.assertEqual(calls[-1], (2, 2))
        with voxfeed.Writer(self.path("b.h5")) as writer:
            self.assertFalse(writer.add_dataset(small(), lambda done, total: True))
            writer.add_subject("z")
            writer.add_entry("images", "T1", volume((6, 7, 8)))
            writer.add_entry("labels", "GT", volume((6, 7, 8), "uint8"))

    def test_what_progress_raises_is_raised(self):
        def progress(done, total):
            raise KeyboardInterrupt("stop at %d of %d" % (done, total))

        writer = voxfeed.Writer(self.path("a.h5"))
        with self.assertRaises(KeyboardInterrupt) as caught:
            writer.add_dataset(small(), progress)
        self.assertIn("of 2", str(caught.exception))

    def test_a_montage_is_a_png(self):
        path = self.path("a.png")
        image, labels = volume((2, 9, 20, 30), "float32"), volume((9, 20, 30), "uint8") % 3
        voxfeed.montage(path, [image, labels, {"volume": image, "title": "T2", "look": "grey", "channel": 1}],
                        slices=2, tile_pixels=60, axis=1, affine=numpy.eye(4))
        with open(path, "rb") as file:
            self.assertEqual(file.read(8), b"\x89PNG\r\n\x1a\n")
        with self.refused(voxfeed.ArgumentError):
            voxfeed.montage(path, [])
        with self.refused(TypeError, "name", "title"):
            voxfeed.montage(path, [{"volume": image, "name": "T1"}])

    def test_the_example_runs(self):
        data, example = self.path("brains.h5"), os.path.join(support.FACE, "examples", "first_loop.py")
        with voxfeed.Writer(data) as writer:
            for id in ("a", "b"):
                writer.add_subject(id)
                writer.add_entry("images", "T1", volume((40, 40, 40), "float32"))
                writer.add_entry("labels", "GT", volume((40, 40, 40), "uint8") % 2)
        code = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
        status, output, errors = support.run_python(code, example, data)
        self.assertEqual(status, 0, errors)
        self.assertIn("(4, 1, 32, 32, 32)", output)


if __name__ == "__main__":
    unittest.main()
