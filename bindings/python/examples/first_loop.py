"""Random patches of images and labels, ready for training: python first_loop.py DATASET"""

import sys

import voxfeed

dataset = voxfeed.Dataset(sys.argv[1])
sampler = voxfeed.Sampler(dataset, kind="uniform", patch_shape=(32, 32, 32), samples_per_subject=8)
loader = voxfeed.Loader(
    sampler, batch_size=4, order="shuffled", seed=1,
    categories=[dict(name="images", dtype="f32"), "labels"],
    transform={"name": "zscore", "category": "images", "statistics": "subject"})

for epoch in range(2):
    for batch in loader.epoch(epoch):
        images, labels = batch["images"], batch["labels"]    # numpy views, no copies
        print(epoch, images.shape, images.mean(), labels.max())
