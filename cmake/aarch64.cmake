# SPDX-License-Identifier: Apache-2.0
# Building for aarch64 with Debian's cross compiler, running under qemu-user. The libraries lie in OLIVINE_ARM64_ROOT
# (tools/arm64_root makes it).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES OLIVINE_ARM64_ROOT)
set(ENV{PKG_CONFIG_LIBDIR} ${OLIVINE_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${OLIVINE_ARM64_ROOT})
set(CMAKE_FIND_ROOT_PATH ${OLIVINE_ARM64_ROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(libs ${OLIVINE_ARM64_ROOT}/usr/lib/aarch64-linux-gnu)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${libs} -Wl,-rpath-link,${libs}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-L${libs} -Wl,-rpath-link,${libs}")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${OLIVINE_ARM64_ROOT})
