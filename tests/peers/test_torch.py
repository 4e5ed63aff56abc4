"""The Python face against a real PyTorch: batches become its tensors without a copy, and keep their memory."""

import gc
import unittest

import numpy
import torch

import voxfeed
from support import Case, loader_of


class Torch(Case):
    def held(self, loader):
        gc.collect()
        return loader.stats().held

    def test_every_way_into_torch_shares_memory_and_keeps_it(self):
        ways = [lambda batch: torch.from_dlpack(batch.array("images")),
                lambda batch: torch.from_dlpack(batch["images"]),
                lambda batch: torch.utils.dlpack.from_dlpack(batch.array("images").__dlpack__()),
                lambda batch: torch.utils.dlpack.from_dlpack(batch.array("images").__dlpack__(max_version=(1, 0))),
                lambda batch: torch.from_numpy(batch["images"])]
        for way in ways:
            loader = loader_of(batch_size=2)
            batch = next(loader.epoch(0))
            expected = batch["images"].copy()
            tensor = way(batch)
            self.assertEqual(tensor.data_ptr(), batch["images"].ctypes.data)
            batch.close()
            self.assertEqual(self.held(loader), 1)
            loader.close()
            part = tensor[1:, 0] + 0
            del tensor
            self.same(part.numpy(), expected[1:, 0])

    def test_the_last_tensor_gives_the_batch_back(self):
        loader = loader_of(batch_size=2)
        for batch in loader.epoch(0):
            tensors = [torch.from_dlpack(batch.array(category)) for category in ("images", "labels")]
            views = [tensor[:1] for tensor in tensors]
            del batch, tensors
            self.assertEqual(self.held(loader), 1)
            del views
            self.assertEqual(self.held(loader), 0)

    def test_predictions_of_torch_are_added(self):
        loader = loader_of(batch_size=2, categories={"name": "images", "dtype": "f32"})
        volumes = voxfeed.Assembler(loader)
        for batch in loader.epoch(0):
            volumes.add(batch, torch.from_dlpack(batch.array()) * 2)
        expected = volumes.take(0)
        self.assertEqual((expected.shape, expected.dtype), ((1, 6, 7, 8), numpy.float32))


if __name__ == "__main__":
    unittest.main()
