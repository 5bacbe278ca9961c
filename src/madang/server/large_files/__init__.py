"""Large files: who may use which, and the two ways they arrive (LFS and Xet)."""
