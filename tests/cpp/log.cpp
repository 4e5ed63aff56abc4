#include "check.hpp"

#include <thread>
#include <utility>

using line = std::pair<voxfeed::log_level, std::string>;

/// Reads a volume whose index cannot be kept: the folder for it is gone. One warning.
static void say_something() {
    const check::folder folder;
    const std::vector<std::int16_t> voxels(4 * 5 * 6, 7);
    voxfeed::save_volume(folder.file("scan.nii.gz"), {voxels.data(), {4, 5, 6}});
    voxfeed::dataset_options options;
    options.seek_index = voxfeed::seek_index::always;
    options.index_folder = folder.file("indexes");
    std::filesystem::create_directory(options.index_folder);
    const voxfeed::dataset data(folder.file("scan.nii.gz"), options);
    std::filesystem::remove(options.index_folder);
    std::vector<std::int16_t> seen(voxels.size());
    data.read(0, "images", "", {seen.data(), {4, 5, 6}});
    CHECK(seen == voxels);
}

TEST(a_function_is_told_at_once_or_when_it_is_asked_for) {
    std::vector<line> told;
    const auto keep = [&told](voxfeed::log_level level, std::string_view text) { told.emplace_back(level, text); };
    say_something();
    voxfeed::set_log(keep);
    say_something();
    CHECK(told.size() == 1 && told[0].first == voxfeed::log_level::warning);
    CHECK(told[0].second.find("scan.nii.gz: its index is not kept") != std::string::npos);
    voxfeed::set_log(keep, voxfeed::log_level::error);
    say_something();
    CHECK(told.size() == 1);
    voxfeed::set_log(keep, voxfeed::log_level::info, voxfeed::log_mode::queued);
    std::thread(say_something).join();
    CHECK(told.size() == 1);
    voxfeed::process_events();
    CHECK(told.size() == 2);
    voxfeed::set_log({});
    say_something();
    voxfeed::process_events();
    CHECK(told.size() == 2);
}

TEST(what_the_function_throws_goes_nowhere) {
    int count = 0;
    voxfeed::set_log([&count](voxfeed::log_level, std::string_view) {
        ++count;
        throw std::runtime_error("mine");
    });
    say_something();
    say_something();
    CHECK(count == 2);
    voxfeed::set_log({});
}

TEST(the_log_is_not_changed_from_inside) {
    int count = 0;
    for (const voxfeed::log_mode mode : {voxfeed::log_mode::direct, voxfeed::log_mode::queued}) {
        voxfeed::set_log(
            [&count](voxfeed::log_level, std::string_view) {
                CHECK_THROWS(VXF_STATUS_ERR_STATE, voxfeed::set_log({}));
                CHECK_THROWS(VXF_STATUS_ERR_STATE, voxfeed::process_events());
                ++count;
            },
            voxfeed::log_level::info, mode);
        say_something();
        voxfeed::process_events();
    }
    CHECK(count == 2);
    voxfeed::set_log({});
}

/// The library's threads may go on while statics are destroyed: the function is taken back with them.
TEST(a_function_may_stay_until_the_end) {
    static std::vector<line> told;
    voxfeed::set_log([](voxfeed::log_level level, std::string_view text) { told.emplace_back(level, text); });
    say_something();
    CHECK(told.size() == 1);
}

int main() { return check::run_all(); }
