# Stands in for CUDA's toolkit: the headers are small ones of our own, and there is no runtime.
if(NOT TARGET CUDA::toolkit)
  add_library(CUDA::toolkit INTERFACE IMPORTED)
  set_target_properties(CUDA::toolkit PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}/../../cpp/fake/cuda")
  add_library(CUDA::cudart INTERFACE IMPORTED)
  set_target_properties(CUDA::cudart PROPERTIES INTERFACE_COMPILE_DEFINITIONS HAS_CUDART)
endif()
