function [text, status] = said_by_octave(code)
    % What another interpreter prints that runs this code, and the status that it ends with.
    file = [tempname(getenv('VXF_SCRATCH')), '.m'];
    out = fopen(file, 'w');
    fprintf(out, '%s\n', code);
    fclose(out);
    [status, text] = system(sprintf('octave-cli --no-gui --quiet --no-init-file --no-history "%s" 2>&1', file));
end
