#include "check.hpp"

#include <memory>
#include <type_traits>

template <class T> constexpr bool moves_only() {
    return std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
           !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
}

static_assert(moves_only<voxfeed::dataset>() && moves_only<voxfeed::sampler>() && moves_only<voxfeed::transform>() &&
                  moves_only<voxfeed::loader>() && moves_only<voxfeed::batch>() && moves_only<voxfeed::assembler>() &&
                  moves_only<voxfeed::writer>(),
              "objects own their handle");

TEST(objects_may_be_destroyed_in_any_order) {
    voxfeed::batch kept, same;
    std::unique_ptr<voxfeed::assembler> volumes;
    {
        auto data = std::make_unique<voxfeed::dataset>(check::subjects(3));
        auto patches = std::make_unique<voxfeed::sampler>(*data);
        data.reset();
        CHECK(patches->size() == 3);
        auto loader = std::make_unique<voxfeed::loader>(*patches);
        patches.reset();
        volumes = std::make_unique<voxfeed::assembler>(*loader);
        loader->start(0);
        CHECK(loader->next(kept));
        same = kept.retain();
        loader.reset();
    }
    CHECK(kept.tensor("images").data<float>()[1] == 1.0F);
    volumes->add(kept, kept.tensor("images"));
    kept.release();
    CHECK(!kept && same.tensor("images").data<float>()[2] == 2.0F);
    CHECK(volumes->coverage(0) == 1.0);
}

TEST(an_object_that_was_moved_from_is_a_handle_error) {
    voxfeed::dataset data = check::subjects(2);
    voxfeed::sampler patches(data);
    voxfeed::loader loader(patches);
    voxfeed::assembler volumes(loader);
    loader.start(0);
    voxfeed::batch batch;
    CHECK(loader.next(batch));
    const check::folder folder;
    voxfeed::writer file(folder.file("a.h5"));

    const voxfeed::dataset data_now = std::move(data);
    const voxfeed::sampler patches_now = std::move(patches);
    voxfeed::loader loader_now = std::move(loader);
    const voxfeed::assembler volumes_now = std::move(volumes);
    const voxfeed::batch batch_now = std::move(batch);
    const voxfeed::writer file_now = std::move(file);
    CHECK(data_now.size() == 2 && patches_now.size() == 2 && loader_now.size() == 2 && batch_now.size() == 1);

    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, data.size());
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, voxfeed::sampler(data));
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, patches.size());
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, voxfeed::loader(patches));
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, loader.start(1));
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, loader.next(batch));
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, voxfeed::assembler(loader));
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, volumes.coverage(0));
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, batch.size());
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, batch.tensor());
    CHECK_THROWS(VXF_STATUS_ERR_HANDLE, file.finish());
}

TEST(a_loop_that_is_left_early_gives_its_batch_back) {
    voxfeed::dataset data = check::subjects(4);
    voxfeed::loader loader{voxfeed::sampler(data)};
    for (auto &batch : loader.epoch(0)) {
        CHECK(batch.size() == 1);
        break;
    }
    CHECK(loader.stats().held == 0);
    std::size_t rest = 0;
    for (auto &batch : loader.batches()) {
        rest += batch.size();
    }
    CHECK(rest == 3);
}

TEST(an_error_keeps_its_text_when_it_is_copied_out) {
    std::exception_ptr kept;
    try {
        voxfeed::dataset data("no such folder");
    } catch (...) {
        kept = std::current_exception();
    }
    CHECK_THROWS(VXF_STATUS_ERR_NOT_FOUND, voxfeed::dataset().find("nobody"));
    try {
        std::rethrow_exception(kept);
    } catch (const voxfeed::error &why) {
        CHECK(why.status() == VXF_STATUS_ERR_NOT_FOUND && why.path() == "no such folder");
    }
}

int main() { return check::run_all(); }
