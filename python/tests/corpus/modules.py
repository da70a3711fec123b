"""Which modules of the standard library the corpus takes, and why it takes no others.

Every public module of the standard library stands in one of the two lists; test_corpus.py says so.
"""

from __future__ import annotations

import importlib.util

#: Their functions depend on their arguments only.
_PURE = [
    "abc",
    "argparse",
    "array",
    "ast",
    "base64",
    "binascii",
    "bisect",
    "builtins",
    "calendar",
    "cmath",
    "codecs",
    "codeop",
    "collections",
    "collections.abc",
    "colorsys",
    "compileall",
    "configparser",
    "contextlib",
    "copy",
    "copyreg",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "dis",
    "email",
    "email.charset",
    "email.encoders",
    "email.header",
    "email.headerregistry",
    "email.message",
    "email.mime.text",
    "email.parser",
    "email.policy",
    "email.quoprimime",
    "email.utils",
    "encodings",
    "encodings.aliases",
    "encodings.idna",
    "encodings.punycode",
    "enum",
    "filecmp",
    "fnmatch",
    "fractions",
    "functools",
    "genericpath",
    "graphlib",
    "gettext",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "html.entities",
    "html.parser",
    "http",
    "http.cookies",
    "inspect",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "json.decoder",
    "json.encoder",
    "keyword",
    "linecache",
    "locale",
    "lzma",
    "math",
    "mimetypes",
    "modulefinder",
    "ntpath",
    "nturl2path",
    "numbers",
    "opcode",
    "operator",
    "optparse",
    "pathlib",
    "pickle",
    "pickletools",
    "pkgutil",
    "plistlib",
    "posixpath",
    "pprint",
    "pyclbr",
    "quopri",
    "re",
    "reprlib",
    "rlcompleter",
    "sched",
    "shlex",
    "sre_compile",
    "sre_constants",
    "sre_parse",
    "stat",
    "statistics",
    "string",
    "stringprep",
    "struct",
    "symtable",
    "tabnanny",
    "textwrap",
    "token",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
    "uu",
    "uuid",
    "weakref",
    "wsgiref.util",
    "wsgiref.headers",
    "xdrlib",
    "xml.dom.minidom",
    "xml.etree.ElementTree",
    "xml.sax.saxutils",
    "zipapp",
    "zlib",
    "bz2",
    "gzip",
    "zoneinfo",
]
#: Without those that this Python has no longer.
PURE = [name for name in _PURE if importlib.util.find_spec(name.partition(".")[0])]

#: Why others are not called with whatever arguments come along.
EXCLUDED = {
    "changes the process: signals, limits, threads, the interpreter, its streams": """
        __future__ _thread asyncio atexit cProfile code concurrent curses doctest faulthandler fcntl gc getopt imp importlib
        multiprocessing pdb profile pstats pty queue readline resource runpy select selectors signal site sitecustomize
        sys sysconfig test threading timeit trace tracemalloc tty termios unittest usercustomize venv warnings zipimport
        contextvars ctypes fileinput getpass lib2to3 pydoc pydoc_data py_compile ensurepip distutils idlelib this antigravity
        turtle turtledemo tkinter nis ossaudiodev spwd crypt msilib msvcrt winreg winsound
    """,
    "reads or writes files, users or programs of the machine": """
        bdb dbm errno glob grp logging mailbox mailcap marshal mmap netrc nt os pipes platform posix pwd shelve shutil sqlite3
        sndhdr imghdr subprocess syslog tarfile tempfile webbrowser zipfile aifc audioop chunk sunau wave cmd tomllib
    """,
    "speaks with the network": """
        asynchat asyncore cgi cgitb ftplib imaplib nntplib poplib smtpd smtplib socket socketserver ssl telnetlib urllib wsgiref
        xmlrpc
    """,
    "answers with the time or with chance": "random secrets time",
    "is a part of modules that are listed": "xml pyexpat",
}

#: Functions of pure modules that touch the world, and why.
NOT_CALLED = {
    "waits for somebody": "shlex.split shlex.shlex builtins.input builtins.breakpoint builtins.help builtins.open builtins.exit builtins.quit",
    "runs what its text says": "builtins.eval builtins.exec builtins.compile builtins.__import__ bdb.Tdb code.interact",
    "reads or writes files": """
        compileall.compile_file compileall.compile_dir compileall.compile_path compileall.main io.open io.open_code codecs.open
        filecmp.cmp filecmp.cmpfiles filecmp.clear_cache gzip.open bz2.open lzma.open gzip.main tabnanny.check tokenize.open
        tokenize.main uu.encode uu.decode uu.test xml.etree.ElementTree.parse xml.etree.ElementTree.iterparse
        pickle.dump pickle.load zipapp.create_archive zipapp.get_interpreter zipapp.main
        pyclbr.readmodule pyclbr.readmodule_ex linecache.getline linecache.getlines linecache.updatecache linecache.lazycache
        linecache.checkcache linecache.clearcache mimetypes.init mimetypes.read_mime_types
        pkgutil.get_data pkgutil.walk_packages pkgutil.iter_modules
        pkgutil.extend_path modulefinder.test modulefinder.ReplacePackage modulefinder.AddPackagePath ast.main dis.main
        inspect.main json.tool calendar.main base64.main base64.test base64.test1 base64.encode base64.decode quopri.main quopri.encode
        quopri.decode pickletools.main gettext.find gettext.translation
        gettext.install posixpath.realpath genericpath.samefile genericpath.sameopenfile genericpath.getsize genericpath.getatime genericpath.getctime
        genericpath.getmtime genericpath.isfile genericpath.isdir genericpath.exists posixpath.islink posixpath.ismount posixpath.lexists
        ntpath.realpath ntpath.islink ntpath.ismount ntpath.lexists filecmp.demo filecmp.dircmp io.BufferedReader pkgutil.get_loader
        pkgutil.find_loader pkgutil.get_importer pkgutil.iter_importers pkgutil.resolve_name http.cookies.main modulefinder.ModuleFinder pprint.main pickle.main uuid.main symtable.main
    """,
    "takes a number as a descriptor and closes it": "io.FileIO io.open_code mimetypes.MimeTypes mimetypes.MimeTypes.read",
    "belongs to pickle, which replaces it by what it holds": "pickle.PickleBuffer",
    "crashes Python 3.11 itself when it is called with a class after it was called with texts": "email.utils.parsedate_to_datetime",
    "changes its module for everybody": """
        locale.setlocale locale.resetlocale copyreg.pickle copyreg.constructor copyreg.add_extension copyreg.remove_extension
        copyreg.clear_extension_cache codecs.register codecs.unregister codecs.register_error csv.register_dialect
        csv.unregister_dialect csv.field_size_limit decimal.setcontext decimal.getcontext decimal.localcontext re.purge
        fnmatch.purge functools.cache gettext.bindtextdomain gettext.textdomain calendar.setfirstweekday mimetypes.add_type
        email.charset.add_charset email.charset.add_alias email.charset.add_codec struct._clearcache typing.overload
        typing.clear_overloads typing.get_overloads xml.etree.ElementTree.register_namespace
        zoneinfo.reset_tzpath enum.global_enum
    """,
    "looks at the caller, the machine, the time or at addresses in memory": """
        abc.get_cache_token argparse.ArgumentParser optparse.OptionParser builtins.super builtins.globals builtins.locals builtins.vars builtins.dir builtins.id builtins.hash inspect.stack inspect.trace
        inspect.currentframe traceback.print_stack traceback.extract_stack traceback.format_stack traceback.walk_stack
        traceback.print_exc traceback.format_exc traceback.print_last uuid.uuid1 uuid.uuid4 uuid.getnode sys.getrefcount
        email.utils.make_msgid email.utils.formatdate email.utils.localtime locale.getlocale locale.getpreferredencoding
        pickletools.optimize enum.show_flag_values http.cookies.main zoneinfo.available_timezones statistics.NormalDist.samples
        weakref.finalize weakref.getweakrefcount weakref.getweakrefs weakref.proxy itertools.tee typing.get_type_hints types.coroutine
        wsgiref.util.setup_testing_defaults posixpath.expanduser ntpath.expanduser pathlib.Path pathlib.PosixPath reprlib.recursive_repr
    """,
}


def names(text: str) -> list[str]:
    """The words of a list."""
    return text.split()


def is_called(name: str) -> bool:
    """Whether the corpus calls this function of a pure module."""
    return not any(name in names(text) for text in NOT_CALLED.values())
