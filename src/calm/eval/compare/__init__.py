"""Fair comparisons: the method, its ablations and its peers, each trained and measured in the same way.

A comparison is a file (``recipes/compare-para.yaml``): which photos, which features, which budget, which rows. Every
row learns from the same photos' features by the same frozen encoder, is chosen on the same validation photos, and is
measured on the same test photos, once. A finished row is kept, so that a comparison goes on where it was interrupted.
"""
