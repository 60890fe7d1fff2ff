# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` writes: program, shared library, public headers, pkg-config file, CMake package
# (target Olivine::olivine), man page, bash completion.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(TARGET olivine_cli)
  install(TARGETS olivine_cli)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/docs/man/olivine.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_SOURCE_DIR}/completions/olivine.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME olivine)
if(OLIVINE_STATIC)
  # Archives of the distribution are not position-independent, so a shared library cannot hold them: program only.
  set_target_properties(olivine PROPERTIES EXCLUDE_FROM_ALL ON)
  return()
endif()

target_include_directories(olivine INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS olivine EXPORT OlivineTargets)
install(EXPORT OlivineTargets NAMESPACE Olivine:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Olivine)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/olivine DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/OlivineConfig.cmake.in ${PROJECT_BINARY_DIR}/OlivineConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Olivine)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/OlivineConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/OlivineConfig.cmake ${PROJECT_BINARY_DIR}/OlivineConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Olivine)

# The prefix is found from the place of the file, so that the tree can be moved and packed.
file(RELATIVE_PATH OLIVINE_PC_PREFIX /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
configure_file(${CMAKE_CURRENT_LIST_DIR}/olivine.pc.in ${PROJECT_BINARY_DIR}/olivine.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/olivine.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
