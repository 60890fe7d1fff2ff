/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations of all variants, expanded from linear.def. */
#ifndef OLK_LINEAR_VARIANTS_H
#define OLK_LINEAR_VARIANTS_H

#include "base/cpu.h"
#include "kernels/linear/linear.h"

#define OLK_ANY(name) extern const olk_linear olk_linear_##name;
#define OLK_X86(name) extern const olk_linear olk_linear_##name;
#define OLK_ARM(name) extern const olk_linear olk_linear_##name;
#include "kernels/linear/linear.def"
#undef OLK_ANY
#undef OLK_X86
#undef OLK_ARM

#endif
