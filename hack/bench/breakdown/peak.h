// What the cores can do, a second; the best of several short rounds. 0: the CPU has no such instruction.
#pragma once
double fp32_flops(int threads);
double bf16_flops(int threads);
double read_bytes(int threads);
