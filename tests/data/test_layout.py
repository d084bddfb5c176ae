"""Patterns, roles and the errors of a folder that does not fit its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.core.errors import FingerprintsError
from fingerprints.data.layout import Source, scan


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_fields_are_read_from_the_path_and_files_come_sorted(tmp_path: Path) -> None:
    touch(
        tmp_path, "b/real_t2/2.png", "a/real_t1/10.png", "a/real_t1/1.png", "a/real_t2/1.png", "c/other/1.png"
    )
    files = scan(tmp_path, [Source("{generator}/real_{label}/*", "real", "train")])
    assert [(f.name, f.generator, f.label, f.id) for f in files] == [
        ("a/real_t1/1.png", "a", "t1", "1"),
        ("a/real_t1/10.png", "a", "t1", "10"),
        ("a/real_t2/1.png", "a", "t2", "1"),
        ("b/real_t2/2.png", "b", "t2", "2"),
    ]


def test_field_in_the_file_name_and_fixed_roles(tmp_path: Path) -> None:
    touch(tmp_path, "x/t1_7.png", "x/t2_8.png", "y/9.png")
    files = scan(
        tmp_path,
        [
            Source("x/{label}_?.png", "real", "train"),
            Source("y/*", "generated", "test", label="t9", generator="g"),
        ],
    )
    assert [(f.label, f.domain, f.part, f.generator) for f in files] == [
        ("t1", "real", "train", ""),
        ("t2", "real", "train", ""),
        ("t9", "generated", "test", "g"),
    ]


def test_only_visible_image_files_are_taken(tmp_path: Path) -> None:
    touch(
        tmp_path, "x/1.PNG", "x/2.jpeg", "x/3.tif", "x/4.txt", "x/.5.png", "x/.thumbs/6.png", "x/deep/7.png"
    )
    (tmp_path / "x/8.png").mkdir()
    assert [f.id for f in scan(tmp_path, [Source("x/*", "real", "train")])] == ["1", "2", "3"]


@pytest.mark.parametrize("pattern", ["x/**", "x/**/*"])
def test_two_stars_match_any_number_of_folders(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "x/1.png", "x/a/2.png", "x/a/b/3.png", "y/4.png")
    assert sorted(f.id for f in scan(tmp_path, [Source(pattern, "real", "train")])) == ["1", "2", "3"]


def test_special_characters_of_regular_expressions_are_plain(tmp_path: Path) -> None:
    touch(tmp_path, "x+(1)/1.png", "xx(1)/2.png")
    assert [f.id for f in scan(tmp_path, [Source("x+(1)/*", "real", "train")])] == ["1"]


def test_root_must_be_a_folder(tmp_path: Path) -> None:
    source = Source("x/*", "real", "train")
    with pytest.raises(FingerprintsError, match="does not exist"):
        scan(tmp_path / "nowhere", [source])
    touch(tmp_path, "file")
    with pytest.raises(FingerprintsError, match="not a folder"):
        scan(tmp_path / "file", [source])


def test_missing_source_names_the_pattern_and_what_is_there(tmp_path: Path) -> None:
    touch(tmp_path, "pictures/1.png")
    with pytest.raises(FingerprintsError, match=r"No real images match 'x/\*'") as error:
        scan(tmp_path, [Source("x/*", "real", "train")])
    assert "pictures/" in str(error.value)


def test_empty_folders_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "x/t1/1.png", "x/t2/readme.txt")
    (tmp_path / "x/t3").mkdir()
    with pytest.raises(FingerprintsError, match=r"2 folder\(s\)") as error:
        scan(tmp_path, [Source("x/{label}/*", "real", "train")])
    assert str(tmp_path / "x/t2") in str(error.value)
    assert str(tmp_path / "x/t3") in str(error.value)


def test_the_first_alternative_with_images_counts(tmp_path: Path) -> None:
    source = Source("generated/gen_{label}/* | generated/{label}/*", "generated", "train")
    touch(tmp_path, "generated/t1/1.png", "generated/t2/2.png")
    assert [f.label for f in scan(tmp_path, [source])] == ["t1", "t2"]
    (tmp_path / "generated/t1").rename(tmp_path / "generated/gen_t1")
    with pytest.raises(FingerprintsError, match="second has 1 that the first lacks") as error:
        scan(tmp_path, [source])
    assert "generated/t2/2.png" in str(error.value)
    (tmp_path / "generated/t2").rename(tmp_path / "generated/gen_t2")
    assert [f.label for f in scan(tmp_path, [source])] == ["t1", "t2"]


def test_an_empty_folder_matters_if_its_alternative_counts(tmp_path: Path) -> None:
    source = Source("a/* | b/{label}/*", "real", "train")
    (tmp_path / "a").mkdir()
    (tmp_path / "b/t1").mkdir(parents=True)
    with pytest.raises(FingerprintsError, match=r"1 folder\(s\) that match 'a/\*'"):
        scan(tmp_path, [source])
    touch(tmp_path, "b/t2/1.png")
    with pytest.raises(FingerprintsError, match=r"1 folder\(s\) that match 'b/\{label\}/\*'"):
        scan(tmp_path, [source])
    (tmp_path / "b/t1").rmdir()
    assert [f.name for f in scan(tmp_path, [source])] == ["b/t2/1.png"]


def test_test_part_is_all_or_nothing(tmp_path: Path) -> None:
    sources = [
        Source("x/*", "real", "train"),
        Source("test/a/*", "real", "test"),
        Source("test/b/*", "generated", "test"),
    ]
    touch(tmp_path, "x/1.png")
    assert len(scan(tmp_path, sources)) == 1
    touch(tmp_path, "test/a/2.png")
    with pytest.raises(FingerprintsError, match=r"incomplete: no generated images match 'test/b/\*'"):
        scan(tmp_path, sources)
    touch(tmp_path, "test/b/3.png")
    assert len(scan(tmp_path, sources)) == 3


def test_fields_that_cannot_be_are_errors(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.png")
    with pytest.raises(FingerprintsError, match=r"unknown field '\{patient\}'"):
        scan(tmp_path, [Source("{patient}/*", "real", "train")])
    with pytest.raises(FingerprintsError, match="twice"):
        scan(tmp_path, [Source("{label}{label}/*", "real", "train")])


def test_a_link_that_leads_nowhere_is_listed_like_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.png", "@eaDir/9.png", "x/@eaDir/1.png/T.jpg")
    (tmp_path / "x/2.png").symlink_to("/not/fetched/2.png")
    assert [f.id for f in scan(tmp_path, [Source("x/*", "real", "train")])] == ["1", "2"]
    assert [f.id for f in scan(tmp_path, [Source("**/*", "real", "train")])] == ["1", "2"]


@pytest.mark.parametrize("pattern", ["{label}/*", "t2/*", "t2/{generator}/*"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_folder_that_is_a_link_to_nowhere_is_an_error(tmp_path: Path, pattern: str, part: str) -> None:
    touch(tmp_path, "t1/1.png")
    (tmp_path / "t2").symlink_to("/not/mounted")
    with pytest.raises(FingerprintsError, match=r"t2 \(a link that leads nowhere\)"):
        scan(tmp_path, [Source(pattern, "real", part)])


def test_two_stars_do_not_follow_links_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.png", "y/2.png")
    (tmp_path / "x/loop").symlink_to(tmp_path)
    (tmp_path / "y/other").symlink_to(tmp_path / "x")
    files = scan(tmp_path, [Source("**/*", "real", "train")])
    assert sorted(f.name for f in files) == ["x/1.png", "y/2.png", "y/other/1.png"]


def test_folders_of_file_servers_are_not_the_users(tmp_path: Path) -> None:
    touch(tmp_path, "real/t1/1.png", "real/t1/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "real/@eaDir/2.png")
    touch(
        tmp_path, "real/Thumbs/3.png", "real/.thumbnails/4.png", "real/__MACOSX/5.png", "real/#recycle/6.png"
    )
    for pattern in ("real/{label}/*", "**/*"):
        assert [f.name for f in scan(tmp_path, [Source(pattern, "real", "train")])] == ["real/t1/1.png"]
    inside = tmp_path / "real/Thumbs"  # asked for by name
    assert [f.id for f in scan(inside, [Source("*", "real", "train")])] == ["3"]


def test_links_that_lead_up_are_not_followed_and_to_themselves_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/other").symlink_to(tmp_path / "b")
    (tmp_path / "b/back").symlink_to(tmp_path / "a")
    names = [f.name for f in scan(tmp_path / "a", [Source("**/*", "real", "train")])]
    assert names.count("1.png") == 1
    assert "other/2.png" in names
    assert len(names) < 6
    (tmp_path / "a/itself").symlink_to("itself")
    with pytest.raises(FingerprintsError, match="leads to itself") as caught:
        scan(tmp_path, [Source("a/**/*", "real", "train")])
    assert caught.value.where == str(tmp_path / "a/itself")
