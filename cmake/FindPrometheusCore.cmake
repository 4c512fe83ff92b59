# Finds the core of prometheus-cpp, the target Prometheus::Core. The package's own CMake files also ask for what its
# other parts need (civetweb, curl), of which nothing is used here. Installed beside sallyportConfig.cmake.
find_path(PrometheusCore_INCLUDE_DIR prometheus/text_serializer.h)
find_library(PrometheusCore_LIBRARY prometheus-cpp-core)
mark_as_advanced(PrometheusCore_INCLUDE_DIR PrometheusCore_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(PrometheusCore REQUIRED_VARS PrometheusCore_LIBRARY PrometheusCore_INCLUDE_DIR)

if(PrometheusCore_FOUND AND NOT TARGET Prometheus::Core)
  add_library(Prometheus::Core UNKNOWN IMPORTED)
  set_target_properties(Prometheus::Core PROPERTIES
    IMPORTED_LOCATION "${PrometheusCore_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${PrometheusCore_INCLUDE_DIR}")
endif()
