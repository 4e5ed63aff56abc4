# voxfeed::cuda for voxfeed/cuda.hpp and voxfeed::torch for voxfeed/torch.hpp, each where CUDA's toolkit or LibTorch has
# been found by whoever includes this; voxfeed_scope is empty, or GLOBAL.
if(TARGET CUDA::toolkit AND NOT TARGET voxfeed::cuda)
  add_library(voxfeed::cuda INTERFACE IMPORTED ${voxfeed_scope})
  # A program that is linked as CUDA has a runtime already, a static one unless it is told otherwise.
  set_target_properties(voxfeed::cuda PROPERTIES
    INTERFACE_LINK_LIBRARIES "voxfeed::cpp;CUDA::toolkit;$<$<NOT:$<LINK_LANGUAGE:CUDA>>:CUDA::cudart>")
endif()

if(TARGET torch AND NOT TARGET voxfeed::torch)
  add_library(voxfeed::torch INTERFACE IMPORTED ${voxfeed_scope})
  set_target_properties(voxfeed::torch PROPERTIES INTERFACE_LINK_LIBRARIES "voxfeed::cpp;${TORCH_LIBRARIES}")
endif()
