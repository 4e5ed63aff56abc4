# Random patches of images and labels, ready for training: julia --project=.../VoxFeed first_loop.jl DATASET

using VoxFeed

dataset = Dataset(ARGS[1])
patches = Sampler(dataset; kind="uniform", patch_shape=(32, 32, 32), samples_per_subject=8)
loader = Loader(patches; batch_size=4, order="shuffled", seed=1, categories=[(name="images", dtype=Float32), "labels"],
                transform=(name="zscore", category="images", statistics="subject"))

for number in 0:1
    for batch in epoch(loader, number)
        images, labels = batch["images"], batch["labels"]    # (width, height, depth, channel, batch), no copies
        println(number, " ", size(images), " ", sum(images) / length(images), " ", maximum(labels))
    end
end
