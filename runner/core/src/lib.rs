//! Runs on the board. No heap.
#![no_std]
