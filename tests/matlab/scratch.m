function folder = scratch()
    % A new, empty folder.
    folder = tempname(getenv('VXF_SCRATCH'));
    mkdir(folder);
end
