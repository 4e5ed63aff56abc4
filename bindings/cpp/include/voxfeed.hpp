/// voxfeed for C++17: volumes in, batches for training out, predictions back into volumes.
/// SPDX-License-Identifier: MIT OR Apache-2.0
///
///   voxfeed::dataset data("brains");
///   voxfeed::sampler patches(data, voxfeed::uniform({64, 64, 64}, 8));
///   voxfeed::loader_options options;
///   options.batch_size = 4;
///   options.order = voxfeed::order::shuffled;
///   options.categories = {{"images", voxfeed::dtype::f32}, "labels"};
///   voxfeed::loader loader(patches, options);
///   for (auto &batch : loader.epoch(0)) {
///       auto images = batch.tensor("images");
///       train(images.data<float>(), images.shape());
///   }
///
/// A thin face of voxfeed.h, where every function is described at length: header-only, without dependencies.
///
/// Objects own their handle and can be moved, not copied; they may be destroyed in any order, because the library
/// keeps alive what it needs. An object that was moved from answers every call with VXF_STATUS_ERR_HANDLE.
/// Errors are thrown as voxfeed::error. Axes are listed slowest first: (batch, channel, depth, height, width).
///
/// With a GPU, loader_options::device puts batches there ahead of time: batch::wait(stream) before a kernel reads one.
/// voxfeed/cuda.hpp (for the CUDA runtime) and voxfeed/torch.hpp (for LibTorch) are included on their own.
///
/// Without exceptions (-fno-exceptions, or VXF_NO_EXCEPTIONS defined) an error ends the program with its message;
/// loader::try_next() returns the errors of the data instead, and the functions of voxfeed.h return all of them.
#ifndef VOXFEED_HPP
#define VOXFEED_HPP

#include "voxfeed/assembler.hpp"
#include "voxfeed/batch.hpp"
#include "voxfeed/dataset.hpp"
#include "voxfeed/error.hpp"
#include "voxfeed/loader.hpp"
#include "voxfeed/log.hpp"
#include "voxfeed/options.hpp"
#include "voxfeed/pinned.hpp"
#include "voxfeed/tensor.hpp"
#include "voxfeed/writer.hpp"

#endif
