% Random patches of images and labels, ready for training: first_loop(DATASET)
function first_loop(path)
    dataset = voxfeed.Dataset(path);
    sampler = voxfeed.Sampler(dataset, 'kind', 'uniform', 'patch_shape', [32 32 32], 'samples_per_subject', 8);
    loader = voxfeed.Loader(sampler, 'batch_size', 4, 'order', 'shuffled', 'seed', 1, ...
        'categories', {struct('name', 'images', 'dtype', 'f32'), 'labels'}, ...
        'transform', struct('name', 'zscore', 'category', 'images', 'statistics', 'subject'));

    for epoch = 0:1
        loader.start(epoch);
        while true
            batch = loader.next();
            if isempty(batch), break; end
            images = batch.get('images');                    % (width, height, depth, channel, batch), a copy
            labels = batch.get('labels');
            batch.release();
            fprintf('%d %s %g %g\n', epoch, mat2str(size(images)), mean(images(:)), max(labels(:)));
        end
    end
end
