"""The published ResNet-50 weights of the packages the pii-blur of 2020 was built on, made into our model folders."""
