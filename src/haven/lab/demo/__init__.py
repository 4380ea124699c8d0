"""`make demo`: haven's main job shown on real VMs of a private lab host, scene by scene, with every claim checked.

The scenes are also the integration tests: `haven.lab.demo.scenes` has them, `scene.play` plays one.
"""
