# Writes texts of Metal kernels as the harness compiles them: each variable of a threadgroup is declared through the harness,
# which has its memory. cmake -DFROM=folder -DTO=folder "-DFILES=a.metal;b/c.h" [-DSHIMS=folder] -P. A file that SHIMS has by its
# name is left out; an address space in front of a variable of a thread is dropped by a macro, so only threadgroup needs this.
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  if(SHIMS AND EXISTS "${SHIMS}/${name}")
    file(READ "${SHIMS}/${name}" text)
  else()
    file(READ "${FROM}/${file}" text)
    foreach(prefix "" "typename ") # an optional group that matches nothing is an error of this language
      string(REGEX REPLACE
        "(\n *)threadgroup[ \n]+${prefix}([A-Za-z_][A-Za-z0-9_:]*(<[^;<>]*>)?)[ \n]+([A-Za-z_][A-Za-z0-9_]*)[ \n]*((\\[[^];]*\\])*);"
        "\\1static const char mlxs_site_\\4 = 0; auto& \\4 = ::mlxs::msl::group_variable<${prefix}\\2\\5>(&mlxs_site_\\4, \"\\4\");"
        text "${text}")
    endforeach()
    string(REGEX REPLACE "\\[\\[threadgroup\\([0-9]+\\)\\]\\]" "" text "${text}")
    # A specialization of a member inside its class is an overload for GCC, which takes none there.
    string(REGEX REPLACE "\n  template <>\n" "\n" text "${text}")
  endif()
  file(WRITE "${TO}/${file}" "${text}")
endforeach()
