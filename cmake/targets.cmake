# sallyport_library(NAME SOURCES ... LINK ... PRIVATE_LINK ...)
# One folder, one target. LINK is the direction in which the folder may include; it is what
# tests/unit/include_direction_test checks against the #include lines.
function(sallyport_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK} $<BUILD_INTERFACE:sallyport_flags>)
  set_property(GLOBAL APPEND PROPERTY SALLYPORT_INSTALLED_LIBRARIES ${name})
endfunction()

# sallyport_test(NAME SOURCES ... LINK ...): a GoogleTest program whose tests ctest knows one by one.
function(sallyport_test name)
  if(NOT SALLYPORT_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest_main sallyport_flags)
  target_compile_definitions(${name} PRIVATE
    SALLYPORT_VECTORS_DIR="${PROJECT_SOURCE_DIR}/../shared/vectors"
    SALLYPORT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300)
endfunction()

# sallyport_fuzzer(NAME SOURCE LINK ...): a libFuzzer target with its corpus in fuzz/corpus/NAME.
function(sallyport_fuzzer name source)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(fuzz_${name} ${source})
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_LINK} sallyport_flags)
  target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
