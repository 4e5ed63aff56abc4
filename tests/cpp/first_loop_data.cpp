// Makes a folder of subjects and runs the first loop over it.
#include "check.hpp"

int main(int count, char **arguments) {
    if (count != 2) {
        std::fprintf(stderr, "first_loop_data PROGRAM\n");
        return 2;
    }
    const check::folder folder;
    voxfeed::writer file(folder.file("brains.h5"));
    file.add_dataset(check::subjects(2, {70, 66, 65}));
    file.finish();
    const std::string command = "'" + std::string(arguments[1]) + "' '" + folder.file("brains.h5") + "'";
    return std::system(command.c_str()) == 0 ? 0 : 1;
}
