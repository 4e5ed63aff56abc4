# Stands in for LibTorch: the headers are small ones of our own.
if(NOT TARGET torch)
  add_library(torch INTERFACE IMPORTED)
  set_target_properties(torch PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}/../../cpp/fake/torch")
endif()
set(TORCH_LIBRARIES torch)
