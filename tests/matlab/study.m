function [dataset, volumes] = study(varargin)
    % A dataset in memory: subjects s1, s2, ... of these shapes, each with images T1 (int16) and labels GT (uint8).
    shapes = varargin;
    if isempty(shapes)
        shapes = {[8 7 6], [8 7 6]};
    end
    dataset = voxfeed.Dataset();
    volumes = cell(1, numel(shapes));
    for number = 1:numel(shapes)
        image = reshape(int16(mod((1:prod(shapes{number})) * 7 + 100 * number, 3001)) - 1000, shapes{number});
        dataset.add_subject(sprintf('s%d', number));
        dataset.add_array(number, 'images', 'T1', image);
        dataset.add_array(number, 'labels', 'GT', uint8(image > 200));
        volumes{number} = image;
    end
end
