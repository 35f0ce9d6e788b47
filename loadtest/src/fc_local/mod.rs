//! Plays Function Compute on this machine.
