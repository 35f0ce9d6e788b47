//! The rules of Function Compute, without a clock or a process of their own.
