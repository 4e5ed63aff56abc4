#include "check.hpp"

#include <set>
#include <thread>

namespace {

const voxfeed::extents shape{4, 5, 6};

/// A loader of whole volumes.
voxfeed::loader whole(const voxfeed::dataset &data, const voxfeed::loader_options &options = {}) {
    return voxfeed::loader(voxfeed::sampler(data), options);
}

voxfeed::loader_options by_two() {
    voxfeed::loader_options options;
    options.batch_size = 2;
    return options;
}

std::vector<std::uint64_t> subjects_of(const voxfeed::batch &batch) {
    std::vector<std::uint64_t> numbers;
    for (const vxf_sample &sample : batch.samples()) {
        numbers.push_back(sample.subject);
    }
    return numbers;
}

} // namespace

TEST(a_loop_gives_every_batch_once_in_order) {
    voxfeed::dataset data = check::subjects(5);
    voxfeed::loader loader = whole(data, by_two());
    CHECK(loader.size() == 3);
    std::vector<std::uint64_t> order;
    for (auto &batch : loader.epoch(0)) {
        const voxfeed::tensor_view images = batch.tensor("images");
        CHECK(images.ndim() == 5 && images.shape(0) == static_cast<std::int64_t>(batch.size()) && images.shape(1) == 1);
        CHECK(images.data<float>()[0] == static_cast<float>(batch.samples()[0].subject) * 1000.0F);
        CHECK(batch.tensor("labels").dtype() == voxfeed::dtype::u8);
        CHECK(batch.tensor().raw() == images.raw() || batch.tensor().raw() == batch.tensor("labels").raw());
        CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, batch.tensor("dose"));
        for (std::uint64_t subject : subjects_of(batch)) {
            order.push_back(subject);
        }
    }
    CHECK(order == (std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
    std::size_t again = 0;
    for (auto &batch : loader.epoch(1)) {
        again += batch.size();
    }
    CHECK(again == 5);
}

TEST(the_iterator_can_be_driven_by_hand) {
    voxfeed::dataset data = check::subjects(3);
    voxfeed::loader loader = whole(data);
    auto range = loader.epoch(0);
    auto at = range.begin();
    CHECK(at != range.end() && at->size() == 1);
    at++;
    ++at;
    CHECK((*at).samples()[0].subject == 2);
    CHECK(++at == range.end());
}

TEST(a_loop_over_an_epoch_does_not_go_on_with_another_one) {
    voxfeed::dataset data = check::subjects(3);
    voxfeed::loader loader = whole(data);
    std::size_t outer = 0;
    std::size_t inner = 0;
    const auto nested = [&] {
        for (auto &batch : loader.epoch(0)) {
            outer += batch.size();
            for (auto &other : loader.epoch(1)) {
                inner += other.size();
            }
        }
    };
    CHECK_THROWS(VXF_STATUS_ERR_STATE, nested());
    CHECK(outer == 1 && inner == 3);
    auto range = loader.epoch(2);
    auto at = range.begin();
    loader.load_state(loader.save_state());
    CHECK_THROWS(VXF_STATUS_ERR_STATE, ++at);
    std::size_t rest = 0;
    for (auto &batch : loader.batches()) {
        rest += batch.size();
    }
    CHECK(rest == 2);
}

TEST(a_batch_that_is_moved_out_of_the_loop_stays) {
    voxfeed::dataset data = check::subjects(3);
    voxfeed::loader_options options;
    options.prefetch = 3;
    voxfeed::loader loader = whole(data, options);
    std::vector<voxfeed::batch> kept;
    for (auto &batch : loader.epoch(0)) {
        kept.push_back(std::move(batch));
    }
    CHECK(kept.size() == 3 && kept[2].tensor("images").data<float>()[0] == 2000.0F);
}

TEST(next_tells_the_end) {
    voxfeed::dataset data = check::subjects(2);
    voxfeed::loader loader = whole(data);
    voxfeed::batch batch;
    CHECK_THROWS(VXF_STATUS_ERR_STATE, loader.next(batch));
    loader.start(0);
    CHECK(loader.next(batch) && batch && batch.size() == 1);
    CHECK(loader.next(batch, std::chrono::seconds(60)) == VXF_STATUS_OK);
    CHECK(!loader.next(batch) && !batch);
    CHECK(loader.next(batch, std::chrono::nanoseconds(0)) == VXF_STATUS_END);
}

TEST(next_gives_up_when_the_time_is_up) {
    voxfeed::dataset data = check::subjects(8);
    voxfeed::loader_options options;
    options.prefetch = 1;
    voxfeed::loader loader = whole(data, options);
    loader.start(0);
    std::vector<voxfeed::batch> held;
    vxf_status status = VXF_STATUS_OK;
    while (status == VXF_STATUS_OK && held.size() < 8) {
        voxfeed::batch batch;
        status = loader.next(batch, std::chrono::milliseconds(50));
        if (batch) {
            held.push_back(std::move(batch));
        }
    }
    CHECK(status == VXF_STATUS_TIMEOUT && !held.empty());
    const voxfeed::result<voxfeed::batch> late = loader.try_next(std::chrono::milliseconds(1));
    CHECK(!late && late.status == VXF_STATUS_TIMEOUT && !late.value);
    held.clear();
    CHECK(loader.try_next());
}

TEST(a_failed_batch_throws_in_its_place_and_the_epoch_goes_on) {
    // Subjects from 1 on have values that no byte holds.
    voxfeed::dataset data = check::subjects(3);
    voxfeed::loader_options options;
    voxfeed::category bytes("images");
    bytes.dtype = voxfeed::dtype::u8;
    options.categories = {bytes};
    voxfeed::loader loader = whole(data, options);
    std::size_t good = 0;
    try {
        for (auto &batch : loader.epoch(0)) {
            good += batch.size();
        }
        CHECK(!"nothing was thrown");
    } catch (const voxfeed::error &why) {
        CHECK(why.status() == VXF_STATUS_ERR_RANGE && why.sample() == 1 && good == 1);
    }
    const voxfeed::result<voxfeed::batch> last = loader.try_next();
    CHECK(last.status == VXF_STATUS_ERR_RANGE && last.why.status() == VXF_STATUS_ERR_RANGE && last.why.sample() == 2);
    for (auto &batch : loader.batches()) {
        CHECK(batch.size() == 0);
    }
    CHECK(loader.stats().errors == 2);

    options.on_error = voxfeed::on_error::stop;
    voxfeed::loader stopping = whole(data, options);
    stopping.start(0);
    voxfeed::batch batch;
    CHECK(stopping.next(batch));
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, stopping.next(batch));
    CHECK(!stopping.next(batch));

    options.categories[0].fit = voxfeed::fit::saturate;
    voxfeed::loader saturating = whole(data, options);
    std::size_t fitting = 0;
    for (auto &saturated : saturating.epoch(0)) {
        fitting += saturated.size();
    }
    CHECK(fitting == 3);
}

TEST(cancel_ends_a_loop_from_another_thread) {
    voxfeed::dataset data = check::subjects(2);
    voxfeed::loader_options options;
    options.endless = true;
    voxfeed::loader loader = whole(data, options);
    std::size_t batches = 0;
    std::thread other;
    for (auto &batch : loader.epoch(0)) {
        batches += batch.size();
        if (batches == 20) {
            other = std::thread([&] { loader.cancel(); });
        }
    }
    other.join();
    CHECK(batches >= 20);
    CHECK(loader.close(std::chrono::seconds(60)));
}

TEST(a_state_continues_at_the_very_next_batch) {
    voxfeed::dataset data = check::subjects(6);
    voxfeed::loader_options options;
    options.order = voxfeed::order::shuffled;
    options.seed = 7;
    voxfeed::loader loader = whole(data, options);
    std::vector<std::uint64_t> order;
    std::string state;
    for (auto &batch : loader.epoch(3)) {
        order.push_back(subjects_of(batch)[0]);
        if (order.size() == 2) {
            state = loader.save_state();
        }
    }
    CHECK(!state.empty() && state.find('\0') == std::string::npos);
    voxfeed::loader other = whole(data, options);
    other.load_state(state);
    std::vector<std::uint64_t> rest(order.begin(), order.begin() + 2);
    for (auto &batch : other.batches()) {
        rest.push_back(subjects_of(batch)[0]);
    }
    CHECK(rest == order);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, other.load_state("nonsense"));
    options.seed = 8;
    voxfeed::loader foreign = whole(data, options);
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, foreign.load_state(state));
}

TEST(last_batch_rules_and_shards_are_heard) {
    voxfeed::dataset data = check::subjects(5);
    voxfeed::loader_options options = by_two();
    options.last_batch = voxfeed::last_batch::drop;
    CHECK(whole(data, options).size() == 2);
    options.last_batch = voxfeed::last_batch::pad;
    options.world_size = 2;
    std::set<std::uint64_t> seen;
    std::size_t repeated = 0;
    for (std::uint32_t rank = 0; rank < 2; ++rank) {
        options.rank = rank;
        voxfeed::loader loader = whole(data, options);
        CHECK(loader.size() == 2);
        for (auto &batch : loader.epoch(0)) {
            CHECK(batch.size() == 2);
            for (const vxf_sample &sample : batch.samples()) {
                seen.insert(sample.subject);
                repeated += (sample.flags & VXF_SAMPLE_REPEATED) != 0;
            }
        }
    }
    CHECK(seen.size() == 5 && repeated == 3);
    options.rank = 2;
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, whole(data, options));
}

TEST(options_of_a_category_are_heard) {
    voxfeed::dataset data;
    data.add_subject("a");
    const std::vector<float> t1 = check::ramp<float>(shape), t2 = check::ramp<float>(shape, 500);
    data.add_tensor(0, "images", "T1", {t1.data(), shape});
    data.add_tensor(0, "images", "T2", {t2.data(), shape});
    voxfeed::category images(std::string("images"));
    images.entries = {"T2", "T1"};
    images.dtype = voxfeed::dtype::f64;
    images.padding = voxfeed::padding::constant;
    images.pad_value = -5.0;
    voxfeed::loader_options options;
    options.categories = {images};
    voxfeed::sampler big(data, voxfeed::grid({8, 5, 6}, {}, voxfeed::border::pad));
    voxfeed::loader padded(big, options);
    for (auto &batch : padded.epoch(0)) {
        const voxfeed::tensor_view view = batch.tensor("images");
        CHECK(view.shape(1) == 2 && view.shape(2) == 8);
        CHECK(view.data<double>()[0] == 500.0 && view.data<double>()[4 * 30] == -5.0 && view.data<double>()[240] == 0.0);
    }
    images.entries = {"T2"};
    images.squeeze_channel = true;
    images.padding = voxfeed::padding::edge;
    options.categories = {images};
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::loader(big, options));  // pad_value would go unused
    images.pad_value = 0.0;
    options.categories = {images};
    voxfeed::loader squeezed(big, options);
    for (auto &batch : squeezed.epoch(0)) {
        CHECK(batch.tensor("images").ndim() == 4);
        CHECK(batch.tensor("images").data<double>()[4 * 30] == 500.0 + 3 * 30);
    }
    images.entries = {"T3"};
    options.categories = {images};
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, voxfeed::loader(big, options));
    options.categories = {"dose"};
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, voxfeed::loader(big, options));
}

TEST(slices_and_volumes_of_unequal_shape) {
    voxfeed::dataset data;
    for (std::int64_t size = 4; size < 6; ++size) {
        const std::uint64_t subject = data.add_subject("s" + std::to_string(size));
        const std::vector<float> voxels = check::ramp<float>({size, 5, 6});
        data.add_tensor(subject, "images", "T1", {voxels.data(), {size, 5, 6}});
    }
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, whole(data, by_two()));
    voxfeed::loader_options options = by_two();
    options.ragged = voxfeed::ragged::pad;
    voxfeed::loader padded = whole(data, options);
    for (auto &batch : padded.epoch(0)) {
        CHECK(batch.tensor().shape(2) == 5 && batch.size() == 2);
    }
    voxfeed::sampler slices(data, voxfeed::slices({0}));
    CHECK(slices.size() == 9 && slices.sample(0, 0, 4).thin_axis == 0);
    voxfeed::loader flat(slices, by_two());
    for (auto &batch : flat.epoch(0)) {
        CHECK(batch.tensor().ndim() == 4);
    }
    options.thin_axis = voxfeed::thin_axis::keep;
    voxfeed::loader thick(slices, options);
    for (auto &batch : thick.epoch(0)) {
        CHECK(batch.tensor().ndim() == 5 && batch.tensor().shape(2) == 1);
    }
}

TEST(samplers_follow_their_rule) {
    voxfeed::dataset data = check::subjects(2);
    CHECK(voxfeed::sampler(data).size() == 2);
    CHECK(voxfeed::sampler(data, voxfeed::whole()).size() == 2);
    CHECK(voxfeed::sampler(data, voxfeed::slices({2, 0})).size() == 20);
    CHECK(voxfeed::sampler(data, voxfeed::uniform({2, 2, 2}, 7)).size() == 14);
    CHECK(voxfeed::sampler(data, voxfeed::grid({2, 5, 6})).size() == 4);
    CHECK(voxfeed::sampler(data, voxfeed::grid({3, 5, 6}, {2, 0, 0}, voxfeed::border::shift)).size() == 4);
    voxfeed::sampler_options strided = voxfeed::grid({2, 0, 0});
    strided.stride = {1, 0, 0};
    CHECK(voxfeed::sampler(data, strided).size() == 6);
    const voxfeed::sampler patches(data, voxfeed::uniform({2, 2, 2}, 7));
    const vxf_sample one = patches.sample(1, 2, 9);
    CHECK(one.index == 9 && one.subject == 1 && one.epoch == 2 && one.ndim == 3 && one.shape[0] == 2);
    CHECK_THROWS(VXF_STATUS_ERR_RANGE, patches.sample(0, 0, 14));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::sampler(data, voxfeed::uniform({1, 1, 1, 1, 1, 1, 1}, 1)));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::sampler(voxfeed::dataset()));
}

TEST(transforms_are_applied_and_outlived) {
    voxfeed::dataset data = check::subjects(1);
    voxfeed::loader_options options;
    std::vector<voxfeed::loader> made;
    {
        const voxfeed::transform chain(R"([{"name": "scale", "category": "images", "slope": 2, "offset": 1},
                                           {"name": "lookup", "category": "labels", "map": {"0": 0}, "default": 9}])");
        options.transform = &chain;
        made.push_back(whole(data, options));
    }
    for (auto &batch : made[0].epoch(0)) {
        CHECK(batch.tensor("images").data<float>()[3] == 7.0F && batch.tensor("labels").data<std::uint8_t>()[3] == 9);
    }
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::transform(R"([{"name": "blur"}])"));
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::transform("not JSON"));
}

TEST(the_bytes_do_not_depend_on_threads) {
    voxfeed::dataset data = check::subjects(3);
    voxfeed::sampler patches(data, voxfeed::uniform({2, 3, 4}, 10));
    std::vector<std::vector<float>> all;
    for (std::uint32_t threads : {1U, 2U, 8U}) {
        voxfeed::loader_options options = by_two();
        options.threads = threads;
        options.order = voxfeed::order::shuffled;
        options.seed = 3;
        voxfeed::loader loader(patches, options);
        std::vector<float> values;
        for (auto &batch : loader.epoch(5)) {
            const voxfeed::span<float> row = batch.tensor("images").values<float>();
            values.insert(values.end(), row.begin(), row.end());
        }
        CHECK(loader.stats().threads == threads);
        all.push_back(std::move(values));
    }
    CHECK(all[0].size() == 30 * 24 && all[0] == all[1] && all[0] == all[2]);
}

TEST(stats_count_what_was_given_out) {
    voxfeed::dataset data = check::subjects(3);
    voxfeed::loader loader = whole(data, by_two());
    std::uint64_t bytes = 0;
    for (auto &batch : loader.epoch(0)) {
        bytes += batch.size() * 120 * 5;
        CHECK(loader.stats().held == 1);
    }
    const vxf_loader_stats stats = loader.stats();
    CHECK(stats.batches == 2 && stats.samples == 3 && stats.bytes == bytes && stats.held == 0 && stats.errors == 0);
    CHECK(stats.slots > 0 && stats.slot_bytes > 0);
}

TEST(the_number_of_a_device_that_is_not_named_is_refused) {
    const voxfeed::dataset data = check::subjects(1);
    voxfeed::loader_options options;
    options.device_id = 1;
    CHECK_THROWS(VXF_STATUS_ERR_ARGUMENT, voxfeed::loader(voxfeed::sampler(data), options));
    options.device = VXF_DEVICE_CPU;
    CHECK(voxfeed::loader(voxfeed::sampler(data), options).size() == 1);
}

TEST(a_gpu_that_is_not_there_is_an_error) {
    if (voxfeed::cuda_device_count() > 0) {
        return;
    }
    voxfeed::dataset data = check::subjects(1);
    voxfeed::loader_options options;
    options.device = VXF_DEVICE_CUDA;
    try {
        whole(data, options);
        CHECK(!"a loader was made");
    } catch (const voxfeed::error &why) {
        CHECK(why.status() == VXF_STATUS_ERR_NO_DEVICE || why.status() == VXF_STATUS_ERR_UNSUPPORTED);
    }
}

int main() { return check::run_all(); }
