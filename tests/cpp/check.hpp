// Cases with names that are sentences, and checks that say where they fail and go on.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <voxfeed.hpp>

namespace check {

struct test {
    const char *name;
    void (*run)();
};

inline std::vector<test> &tests() {
    static std::vector<test> all;
    return all;
}

inline int &failures() {
    static int count = 0;
    return count;
}

struct entry {
    entry(const char *name, void (*run)()) { tests().push_back({name, run}); }
};

inline void that(bool holds, const char *what, const char *file, int line) {
    if (!holds) {
        std::printf("%s:%d: %s\n", file, line, what);
        ++failures();
    }
}

/// A folder that is removed with the object.
class folder {
  public:
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "voxfeed-XXXXXX").string();
        if (mkdtemp(&name[0]) == nullptr) {
            std::perror("mkdtemp");
            std::abort();
        }
        path_ = name;
    }
    folder(const folder &) = delete;
    folder &operator=(const folder &) = delete;
    ~folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string file(const std::string &name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

/// 0, 1, 2, … as voxels of a volume.
template <class T> std::vector<T> ramp(const voxfeed::extents &shape, int first = 0) {
    std::vector<T> voxels(voxfeed::tensor_view(static_cast<T *>(nullptr), shape).size());
    for (std::size_t i = 0; i < voxels.size(); ++i) {
        voxels[i] = static_cast<T>(first + static_cast<int>(i));
    }
    return voxels;
}

/// So many subjects "s0", "s1", … of images (float, its number times 1000 and more) and labels (u8, 0 to 3).
inline voxfeed::dataset subjects(std::uint64_t count, const voxfeed::extents &shape = {4, 5, 6}) {
    voxfeed::dataset data;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t subject = data.add_subject("s" + std::to_string(i));
        std::vector<float> images = ramp<float>(shape, static_cast<int>(i) * 1000);
        std::vector<std::uint8_t> labels = ramp<std::uint8_t>(shape);
        for (std::uint8_t &label : labels) {
            label %= 4;
        }
        data.add_tensor(subject, "images", "T1", {images.data(), shape});
        data.add_tensor(subject, "labels", "GT", {labels.data(), shape});
    }
    return data;
}

inline int run_all() {
    for (const test &each : tests()) {
        const int before = failures();
        try {
            each.run();
        } catch (const std::exception &why) {
            std::printf("%s: threw: %s\n", each.name, why.what());
            ++failures();
        }
        std::printf("%s ... %s\n", each.name, failures() == before ? "ok" : "FAILED");
    }
    return failures() == 0 && !tests().empty() ? 0 : 1;
}

} // namespace check

#define CHECK(condition) check::that(static_cast<bool>(condition), #condition, __FILE__, __LINE__)

/// The expression must throw a voxfeed::error of this status with a message.
#define CHECK_THROWS(expected, expression)                                                                             \
    do {                                                                                                               \
        vxf_status thrown_status = VXF_STATUS_OK;                                                                      \
        std::string thrown_message;                                                                                    \
        try {                                                                                                          \
            (void)(expression);                                                                                        \
        } catch (const voxfeed::error &caught) {                                                                       \
            thrown_status = caught.status();                                                                           \
            thrown_message = caught.what();                                                                            \
        }                                                                                                              \
        const std::string told = std::string(#expression " gives ") + vxf_status_name(thrown_status) + " (" +          \
                                 thrown_message + ") for " #expected;                                                  \
        check::that(thrown_status == (expected) && !thrown_message.empty(), told.c_str(), __FILE__, __LINE__);         \
    } while (false)

#define TEST(name)                                                                                                     \
    static void name();                                                                                                \
    static const check::entry entry_##name(#name, name);                                                              \
    static void name()

#endif
