// Errors, and the check that header and library belong together.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_ERROR_HPP
#define VOXFEED_ERROR_HPP

#include <voxfeed.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#if !defined(VXF_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define VXF_NO_EXCEPTIONS
#endif

#ifdef VXF_NO_EXCEPTIONS
#include <cstdio>
#include <cstdlib>
#endif

namespace voxfeed {

/// The number of the C interface that this header is written for; vxf_abi_version() is the library's.
constexpr std::uint32_t abi_version = VXF_ABI_VERSION;

/// What went wrong: a negative status, one line of text, and where there is one the file and the sample.
class error : public std::runtime_error {
  public:
    error(vxf_status status, const std::string &message) : std::runtime_error(message), status_(status) {}

    /// The error that this thread's last failing call has left.
    static error last(vxf_status status) {
        error made(status, vxf_last_error_message());
        vxf_error_info info{};
        info.struct_size = sizeof info;
        if (vxf_last_error_info(&info) == VXF_STATUS_OK && info.status == status) {
            made.path_ = info.path == nullptr ? "" : info.path;
            made.sample_ = info.sample;
            made.os_error_ = info.os_error;
            made.device_error_ = info.device_error;
        }
        return made;
    }

    /// One of VXF_STATUS_ERR_…, or of the statuses that are no errors where a result holds one.
    vxf_status status() const noexcept { return status_; }
    /// The file concerned, empty where none.
    const std::string &path() const noexcept { return path_; }
    /// The number of the sample that failed, -1 where none.
    std::int64_t sample() const noexcept { return sample_; }
    /// The operating system's error number, 0 where none.
    std::int32_t os_error() const noexcept { return os_error_; }
    /// The CUDA driver's result, 0 where none.
    std::int32_t device_error() const noexcept { return device_error_; }

  private:
    vxf_status status_;
    std::string path_;
    std::int64_t sample_ = -1;
    std::int32_t os_error_ = 0;
    std::int32_t device_error_ = 0;
};

/// A value, or the status and the error that stand in its place.
template <class T> struct result {
    /// VXF_STATUS_OK, a status that is no error (END, TIMEOUT, CANCELLED), or an error's.
    vxf_status status = VXF_STATUS_ERR_STATE;
    /// The value, where the status is OK.
    T value{};
    /// Why, where the status is negative.
    error why{VXF_STATUS_OK, ""};

    explicit operator bool() const noexcept { return status == VXF_STATUS_OK; }
};

namespace detail {

[[noreturn]] inline void fail(const error &why) {
#ifdef VXF_NO_EXCEPTIONS
    std::fprintf(stderr, "voxfeed: %s (%s)\n", why.what(), vxf_status_name(why.status()));
    std::abort();
#else
    throw why;
#endif
}

/// Passes on what is no error.
inline vxf_status check(vxf_status status) {
    if (status < 0) {
        fail(error::last(status));
    }
    return status;
}

/// Everything that makes a first handle asks this, so that a foreign library never sees our structs.
inline void require_library() {
    static const std::uint32_t found = vxf_abi_version();
    if (found != abi_version) {
        fail(error(VXF_STATUS_ERR_UNSUPPORTED, "voxfeed.hpp is written for interface number " +
                                                   std::to_string(abi_version) + ", the library that was found has " +
                                                   std::to_string(found) + " (version " + vxf_version_string() + ")"));
    }
}

template <class T, void (*free_handle)(T *)> struct deleter {
    void operator()(T *handle) const noexcept { free_handle(handle); }
};

template <class T, void (*free_handle)(T *)> using owned = std::unique_ptr<T, deleter<T, free_handle>>;

/// The C interface says NULL where this one says "".
inline const char *or_null(const std::string &text) noexcept { return text.empty() ? nullptr : text.c_str(); }

} // namespace detail

/// The library's version, "0.1.0".
inline std::string version() { return vxf_version_string(); }

/// What the library is made of, as JSON.
inline std::string build_info() { return vxf_build_info(); }

/// The number of CUDA devices; 0 where there is no driver.
inline std::int32_t cuda_device_count() {
    std::int32_t count = 0;
    detail::check(vxf_cuda_device_count(&count));
    return count;
}

} // namespace voxfeed

#endif
