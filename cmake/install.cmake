# `cmake --install` puts headers, libraries, the package for find_package(sallyport), and the command in place.
include(CMakePackageConfigHelpers)

add_library(sallyport INTERFACE)
get_property(libraries GLOBAL PROPERTY SALLYPORT_INSTALLED_LIBRARIES)
# Users get the library, not what only the command needs.
list(FILTER libraries EXCLUDE REGEX "^sallyport_(config|main)")
target_link_libraries(sallyport INTERFACE sallyport_admin sallyport_verifiers sallyport_store sallyport_server)
target_compile_features(sallyport INTERFACE cxx_std_23)
add_library(sallyport::sallyport ALIAS sallyport)

install(DIRECTORY include/sallyport DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS sallyport sallyport_headers ${libraries} EXPORT sallyport_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT sallyport_targets FILE sallyportTargets.cmake NAMESPACE sallyport::
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sallyport)
configure_package_config_file(cmake/sallyportConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/sallyportConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sallyport)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/sallyportConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sallyportConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/sallyportConfigVersion.cmake
  cmake/FindHiredis.cmake cmake/FindPrometheusCore.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sallyport)
if(TARGET sallyport_binary)
  install(TARGETS sallyport_binary RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
