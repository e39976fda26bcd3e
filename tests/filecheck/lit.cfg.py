# How lit runs the files of this folder. CMakeLists.txt says where things are: `lit -D tools=... -D llvm_tools=... -D scratch=...`
import os

import lit.formats

config.name = "filecheck"
config.suffixes = [".mlir"]
config.test_format = lit.formats.ShTest(execute_external=False)
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = lit_config.params["scratch"]
folders = [lit_config.params["tools"], lit_config.params["llvm_tools"], os.environ["PATH"]]
config.environment["PATH"] = os.pathsep.join(folders)
