// From subjects to batches: samplers, transforms, loaders.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_LOADER_HPP
#define VOXFEED_LOADER_HPP

#include <chrono>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "batch.hpp"
#include "dataset.hpp"
#include "error.hpp"
#include "options.hpp"
#include "tensor.hpp"

namespace voxfeed {

/// To wait without end.
constexpr std::chrono::nanoseconds for_ever{-1};

/// The samples of an epoch before they are ordered: regions of subjects. It reads no voxel.
class sampler {
  public:
    /// Applies a rule to the subjects that the dataset has now: sampler(data, uniform({64, 64, 64}, 8)).
    ///
    /// Errors: ERR_ARGUMENT where the rule does not fit a volume, or there is no sample at all.
    explicit sampler(const dataset &data, const sampler_options &options = {}) {
        const vxf_sampler_options given = detail::to_c(options);
        vxf_sampler *made = nullptr;
        detail::check(vxf_sampler_new(data.get(), &given, &made));
        handle_.reset(made);
    }

    /// The number of samples of an epoch.
    std::uint64_t size() const {
        std::uint64_t count = 0;
        detail::check(vxf_sampler_len(get(), &count));
        return count;
    }

    /// The sample of this number, as it is in this epoch under this seed. Errors: ERR_RANGE.
    vxf_sample sample(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) const {
        vxf_sample found{};
        detail::check(vxf_sampler_get(get(), seed, epoch, index, &found));
        return found;
    }

    const vxf_sampler *get() const noexcept { return handle_.get(); }

  private:
    detail::owned<vxf_sampler, vxf_sampler_free> handle_;
};

/// A chain of steps that is applied to every sample; voxfeed.h lists them at vxf_transform.
class transform {
  public:
    /// Reads a chain from JSON: [{"name": "zscore", "category": "images", "statistics": "subject"}].
    ///
    /// Errors: ERR_ARGUMENT, which says which step, and what is allowed.
    explicit transform(const std::string &json) {
        detail::require_library();
        vxf_transform *made = nullptr;
        detail::check(vxf_transform_parse(json.c_str(), &made));
        handle_.reset(made);
    }

    const vxf_transform *get() const noexcept { return handle_.get(); }

  private:
    detail::owned<vxf_transform, vxf_transform_free> handle_;
};

class loader;

/// The batches that a loader has yet to give in this epoch: what a range-based for loop runs over, once.
///
/// Once the loader is begun anew, by epoch(), start() or load_state(), going on with it is ERR_STATE.
class batches {
  public:
    /// Stands on a batch; an input iterator.
    class iterator {
      public:
        using iterator_category = std::input_iterator_tag;
        using value_type = batch;
        using difference_type = std::ptrdiff_t;
        using pointer = batch *;
        using reference = batch &;

        iterator() noexcept = default;
        explicit iterator(batches *range) : range_(range) { ++*this; }

        /// The batch; move it out to keep it longer than the loop's turn.
        batch &operator*() const noexcept { return range_->current_; }
        batch *operator->() const noexcept { return &range_->current_; }
        /// Releases the batch, then waits for the next one.
        inline iterator &operator++();
        void operator++(int) { ++*this; }

        friend bool operator==(const iterator &a, const iterator &b) noexcept { return a.range_ == b.range_; }
        friend bool operator!=(const iterator &a, const iterator &b) noexcept { return a.range_ != b.range_; }

      private:
        batches *range_ = nullptr;
    };

    inline explicit batches(loader &from) noexcept;
    batches(const batches &) = delete;
    batches &operator=(const batches &) = delete;

    iterator begin() { return iterator(this); }
    iterator end() noexcept { return {}; }

  private:
    loader *from_;
    /// How often the loader had been begun when this was made.
    std::uint64_t begun_;
    batch current_;
};

/// Fills batches ahead of time with threads of its own, and lends them in epoch order.
///
/// The batches are the same for any number of threads. At most prefetch + 1 exist at a time: release what you hold
/// before you wait for more. next() and cancel() may be called from any thread, the rest from one at a time.
class loader {
  public:
    /// Makes a loader; it starts no thread before start() or epoch().
    ///
    /// Errors: ERR_ARGUMENT where options contradict each other or the data, ERR_NOT_FOUND for a category or entry
    /// that a subject lacks, ERR_MEMORY, ERR_NO_DEVICE, ERR_UNSUPPORTED.
    explicit loader(const sampler &samples, const loader_options &options = {}) {
        std::vector<std::vector<const char *>> entries;
        std::vector<vxf_category> categories;
        for (const category &from : options.categories) {
            std::vector<const char *> names;
            for (const std::string &entry : from.entries) {
                names.push_back(entry.c_str());
            }
            entries.push_back(std::move(names));
            vxf_category to{};
            to.name = from.name.c_str();
            to.entries = from.entries.empty() ? nullptr : entries.back().data();
            to.entry_count = from.entries.size();
            to.dtype = static_cast<vxf_dtype>(from.dtype);
            to.padding = static_cast<vxf_padding>(from.padding);
            to.pad_value = from.pad_value;
            to.fit = static_cast<vxf_fit>(from.fit);
            to.squeeze_channel = from.squeeze_channel ? 1 : 0;
            categories.push_back(to);
        }
        vxf_loader_options given;
        detail::check(vxf_loader_options_init(&given, sizeof given));
        given.batch_size = options.batch_size;
        given.prefetch = options.prefetch;
        given.threads = options.threads;
        given.order = static_cast<vxf_order>(options.order);
        given.last_batch = static_cast<vxf_last_batch>(options.last_batch);
        given.on_error = static_cast<vxf_on_error>(options.on_error);
        given.ragged = static_cast<vxf_ragged>(options.ragged);
        given.thin_axis = static_cast<vxf_thin_axis>(options.thin_axis);
        given.endless = options.endless ? 1 : 0;
        given.rank = options.rank;
        given.world_size = options.world_size;
        given.seed = options.seed;
        given.transform = options.transform == nullptr ? nullptr : options.transform->get();
        given.categories = categories.empty() ? nullptr : categories.data();
        given.category_count = categories.size();
        given.device = options.device;
        given.device_id = options.device_id;
        given.group_window = options.group_window;
        given.consumer = static_cast<vxf_consumer>(options.consumer);
        given.cast = static_cast<vxf_cast>(options.cast);
        given.pinned = options.pinned;
        vxf_loader *made = nullptr;
        detail::check(vxf_loader_new(samples.get(), &given, &made));
        handle_.reset(made);
    }

    /// Begins an epoch and gives its batches: for (auto &batch : loader.epoch(0)) …
    ///
    /// The loop ends with the epoch, or where the loader is cancelled. The error of a batch is thrown from the loop
    /// in its place; batches() then goes on behind it.
    voxfeed::batches epoch(std::uint64_t number) {
        start(number);
        return voxfeed::batches(*this);
    }

    /// The rest of the running epoch: after load_state(), or after an error.
    voxfeed::batches batches() noexcept { return voxfeed::batches(*this); }

    /// Begins an epoch, 0 being the first; a running one is given up.
    void start(std::uint64_t epoch) {
        ++begun_;
        detail::check(vxf_loader_start(get(), epoch));
    }

    /// The number of batches of an epoch on this rank.
    std::uint64_t size() const {
        std::uint64_t count = 0;
        detail::check(vxf_loader_len(get(), &count));
        return count;
    }

    /// Waits for the next batch; false where the epoch is over or the loader cancelled.
    ///
    /// What out held is released before the wait. Errors: those of the batch's samples, in order.
    bool next(batch &out) { return next(out, for_ever) == VXF_STATUS_OK; }

    /// Waits so long for the next batch: VXF_STATUS_OK, END, TIMEOUT or CANCELLED.
    vxf_status next(batch &out, std::chrono::nanoseconds timeout) {
        out.release();
        vxf_batch *found = nullptr;
        const vxf_status status = detail::check(vxf_loader_next(get(), timeout.count(), &found));
        out = batch(found);
        return status;
    }

    /// Waits for the next batch and never throws an error of the data: the result holds it.
    result<batch> try_next(std::chrono::nanoseconds timeout = for_ever) {
        result<batch> outcome;
        vxf_batch *found = nullptr;
        outcome.status = vxf_loader_next(get(), timeout.count(), &found);
        outcome.value = batch(found);
        if (outcome.status < 0) {
            outcome.why = error::last(outcome.status);
        }
        return outcome;
    }

    /// Ends the epoch and wakes whoever waits for a batch; from any thread.
    void cancel() { detail::check(vxf_loader_cancel(get())); }

    /// Cancels and waits until the threads have ended; false where one still reads when the time is up.
    bool close(std::chrono::nanoseconds timeout = for_ever) {
        return detail::check(vxf_loader_close(get(), timeout.count())) == VXF_STATUS_OK;
    }

    /// The place behind the last batch that was given out, as text.
    std::string save_state() const {
        std::size_t bytes = 0;
        detail::check(vxf_loader_save_state(get(), nullptr, &bytes));
        std::string text(bytes, '\0');
        detail::check(vxf_loader_save_state(get(), &text[0], &bytes));
        text.resize(bytes == 0 ? 0 : bytes - 1);
        return text;
    }

    /// Goes back to a saved place; batches() then continues exactly there.
    ///
    /// Errors: ERR_ARGUMENT where the state is damaged or belongs to another dataset, sampler, seed or share.
    void load_state(const std::string &state) {
        ++begun_;
        detail::check(vxf_loader_load_state(get(), state.c_str()));
    }

    /// What the loader has done since it was made: batches, samples, bytes, waits.
    vxf_loader_stats stats() const {
        vxf_loader_stats done{};
        done.struct_size = sizeof done;
        detail::check(vxf_loader_get_stats(get(), &done));
        return done;
    }

    const vxf_loader *get() const noexcept { return handle_.get(); }
    vxf_loader *get() noexcept { return handle_.get(); }

  private:
    friend class voxfeed::batches;

    detail::owned<vxf_loader, vxf_loader_free> handle_;
    std::uint64_t begun_ = 0;
};

inline batches::batches(loader &from) noexcept : from_(&from), begun_(from.begun_) {}

inline batches::iterator &batches::iterator::operator++() {
    // A loop that an error leaves must not find its end behind it, hence the order.
    batches *range = range_;
    range_ = nullptr;
    if (range->from_->begun_ != range->begun_) {
        detail::fail(error(VXF_STATUS_ERR_STATE,
                           "the loader was begun anew, by epoch, start or load_state, after these batches were made: "
                           "iterate over what epoch() gave last; two epochs at a time need another loader"));
    }
    if (range->from_->next(range->current_)) {
        range_ = range;
    }
    return *this;
}

} // namespace voxfeed

#endif
