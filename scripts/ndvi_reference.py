#!/usr/bin/env python3
"""What does GDAL say about scenes of other kinds than the recorded ones?

    ndvi_reference.py DIRECTORY

Writes synthetic scenes below DIRECTORY/s2 and DIRECTORY/cases.json with, for each scene, a
catalogue item and the statistics of random outlines: pixels by GDAL's rasterizer, projection by
PROJ, numbers by numpy. Nothing of the service is used, so agreement says something. The same
numbers come out at each run.

Needs rasterio and numpy; `tests/blackbox/reference.rs` of ndvi runs it where they are installed.
"""

import datetime
import json
import math
import os
import sys

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.features import geometry_mask
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.warp import transform, transform_geom

MASKED = [0, 1, 2, 3, 8, 9, 10, 11]
FIRST_DAY = datetime.date(2023, 6, 1)
NORTH, SOUTH = (32633, 499980, 5300040), (32733, 600000, 8100040)


def kind(name, zone=NORTH, block=512, shape=(700, 900), **options):
    """A kind of scene; options are GDAL's creation options and, in small letters, ours."""
    return {"name": name, "zone": zone, "block": block, "shape": shape, "options": options}


KINDS = [
    kind("deflate_512", COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("deflate_256_plain", block=256, COMPRESS="DEFLATE", PREDICTOR="NO"),
    kind("deflate_1024", block=1024, shape=(1500, 1300), COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("deflate_128", block=128, COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("lzw_512", COMPRESS="LZW", PREDICTOR="YES"),
    kind("lzw_256_plain", block=256, COMPRESS="LZW", PREDICTOR="NO"),
    kind("zstd_512", COMPRESS="ZSTD", PREDICTOR="YES"),
    kind("zstd_256_plain", block=256, COMPRESS="ZSTD", PREDICTOR="NO"),
    kind("not_compressed", block=256, COMPRESS="NONE"),
    kind("big_tiff", COMPRESS="DEFLATE", PREDICTOR="YES", BIGTIFF="YES"),
    kind("many_overviews", block=256, shape=(2100, 2300), COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("smaller_than_a_tile", shape=(300, 200), COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("big_endian", driver="GTiff", ENDIANNESS="BIG", COMPRESS="DEFLATE", PREDICTOR="2"),
    kind("big_endian_lzw", driver="GTiff", ENDIANNESS="BIG", COMPRESS="LZW", PREDICTOR="2"),
    kind("plain_gtiff", driver="GTiff", COMPRESS="DEFLATE", PREDICTOR="2"),
    kind("pixel_is_point", point=True, COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("fifteen_bits", driver="GTiff", NBITS="15", COMPRESS="DEFLATE"),
    kind("fifteen_bits_lzw", driver="GTiff", NBITS="15", COMPRESS="LZW"),
    kind("sparse", driver="GTiff", block=256, empty=True, SPARSE_OK="TRUE", COMPRESS="DEFLATE"),
    kind("south", zone=SOUTH, COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("south_of_the_equator", zone=(32736, 300000, 10000000), COMPRESS="DEFLATE"),
    kind("north_of_the_equator", zone=(32636, 300000, 7000), COMPRESS="DEFLATE"),
    kind("first_zone", zone=(32601, 399960, 7200000), COMPRESS="DEFLATE"),
    kind("last_zone", zone=(32760, 399960, 5900020), COMPRESS="DEFLATE"),
    kind("far_north", zone=(32633, 499980, 8600040), COMPRESS="DEFLATE"),
    kind("zone_edge", zone=(32633, 204980, 5300040), COMPRESS="DEFLATE"),
    kind("c1_raw", added=1000, c1=True, COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("l2a_raw", added=1000, baseline="04.00", COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("l2a_shifted", baseline="05.09", applied=True, COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("classified", scl=512, COMPRESS="DEFLATE", PREDICTOR="YES"),
    kind("classified_odd", scl=256, shape=(701, 899), COMPRESS="LZW", PREDICTOR="YES"),
]


def field(rng, shape, low, high):
    """Smooth ground with noise, and holes without data."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    waves = np.sin(rows / rng.uniform(20, 60)) + np.cos(columns / rng.uniform(20, 60))
    values = low + (waves + 2) / 4 * (high - low) + rng.normal(0, 60, shape)
    values = np.clip(values, 1, 14_000).astype(np.uint16)
    for _ in range(12):
        row, column = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        values[row : row + 9, column : column + 14] = 0
    return values


def write(path, values, kind, pixel=10, block=None):
    epsg, west, north = kind["zone"]
    options = dict(kind["options"])
    driver = options.pop("driver", "COG")
    point = options.pop("point", False)
    creation = {name: value for name, value in options.items() if name.isupper()}
    block = block or kind["block"]
    if values.dtype == np.uint8:
        creation.pop("NBITS", None)
    if driver == "COG":
        creation["BLOCKSIZE"] = block
    else:
        creation.update(TILED="YES", BLOCKXSIZE=block, BLOCKYSIZE=block)
    profile = {
        "driver": "GTiff",
        "dtype": values.dtype.name,
        "count": 1,
        "height": values.shape[0],
        "width": values.shape[1],
        "crs": f"EPSG:{epsg}",
        "transform": from_origin(west, north, pixel, pixel),
        "nodata": 0,
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(values, 1)
            if point:
                dataset.update_tags(AREA_OR_POINT="Point")
        with memory.open() as dataset:
            rasterio.shutil.copy(dataset, path, driver=driver, **creation)
    # What was asked for is what came out, or the case shows nothing.
    with rasterio.open(path) as dataset:
        assert dataset.block_shapes[0] == (block, block), (path, dataset.block_shapes)
        assert np.array_equal(dataset.read(1), values), path
        assert dataset.transform == profile["transform"], (path, dataset.transform)
        assert not point or dataset.tags()["AREA_OR_POINT"] == "Point"


def ring(rng, centre, radius, corners, inner=0.5):
    angles = (np.arange(corners) + rng.uniform(0, 0.8, corners)) * 2 * math.pi / corners
    radii = radius * rng.uniform(inner, 1.0, corners)
    points = [
        [centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)] for a, r in zip(angles, radii)
    ]
    return points + points[:1]


def outlines(rng, kind):
    """Outlines in degrees, made in metres around places of the scene."""
    epsg, west, north = kind["zone"]
    rows, columns = kind["shape"]
    width, height, tile = columns * 10, rows * 10, kind["block"] * 10

    def at(x, y):
        return [west + x, north - y]

    corner = at(min(tile, width / 2), min(tile, height / 2))
    inner = ring(rng, at(width * 0.3, height * 0.3), 400, 9, inner=0.8)
    middle = [sum(p[i] for p in inner[:-1]) / (len(inner) - 1) for i in (0, 1)]
    hole = [[middle[0] + dx, middle[1] + dy] for dx, dy in [(-73, -61), (68, -57), (66, 71), (-59, 77)]]
    parts = [[ring(rng, at(width * x, height * 0.7), 300, 7)] for x in (0.2, 0.6)]
    shapes = {
        "inside": ("Polygon", [ring(rng, at(width * 0.6, height * 0.4), 500, 12)]),
        "across_tiles": ("Polygon", [ring(rng, corner, 700, 14)]),
        "with_a_hole": ("Polygon", [inner, hole + hole[:1]]),
        "of_two_parts": ("MultiPolygon", parts),
        "partly_outside": ("Polygon", [ring(rng, at(width, height * 0.5), 600, 10)]),
        "beyond_the_corner": ("Polygon", [ring(rng, at(0, 0), 600, 10)]),
    }
    for name, (form, coordinates) in shapes.items():
        geometry = {"type": form, "coordinates": coordinates}
        degrees = transform_geom(f"EPSG:{epsg}", "EPSG:4326", geometry, precision=9)
        yield name, json.loads(json.dumps(degrees))


def expected(geometry, kind, red, nir, scl):
    """The numbers of the pixels whose centre lies inside."""
    epsg, west, north = kind["zone"]
    projected = transform_geom("EPSG:4326", f"EPSG:{epsg}", geometry)
    grid = from_origin(west, north, 10, 10)
    inside = geometry_mask([projected], red.shape, grid, invert=True)
    valid = inside & (red > 0) & (nir > 0)
    if scl is not None:
        on_ten_metres = np.repeat(np.repeat(scl, 2, 0), 2, 1)[: red.shape[0], : red.shape[1]]
        valid &= ~np.isin(on_ten_metres, MASKED)
    offset = kind["options"].get("added", 0)
    r, n = (band[valid].astype(np.float64) - offset for band in (red, nir))
    ndvi = (n - r) / (n + r)
    numbers = {"pixel_count": int(inside.sum()), "valid_count": int(valid.sum())}
    assert numbers["pixel_count"] > 100, (kind["name"], numbers)
    if not numbers["valid_count"]:
        return numbers
    for name, value in {
        "mean": ndvi.mean(),
        "min": ndvi.min(),
        "max": ndvi.max(),
        "std": ndvi.std(),
        "median": np.percentile(ndvi, 50),
        "p10": np.percentile(ndvi, 10),
        "p25": np.percentile(ndvi, 25),
        "p75": np.percentile(ndvi, 75),
        "p90": np.percentile(ndvi, 90),
    }.items():
        numbers[name] = float(value)
    return numbers


def item(scene, day, kind, has_scl):
    epsg, west, north = kind["zone"]
    rows, columns = kind["shape"]
    x = [west - 2000, west + columns * 10 + 2000]
    y = [north - rows * 10 - 2000, north + 2000]
    corners = [(a, b) for a in x for b in y]
    lon, lat = transform(f"EPSG:{epsg}", "EPSG:4326", *zip(*corners))
    options = kind["options"]
    raw = options.get("added", 0) > 0
    band = {"nodata": 0, "scale": 0.0001, "offset": -0.1 if raw else 0}
    names = {"red": "B04", "nir": "B08"} | ({"scl": "SCL"} if has_scl else {})
    properties = {
        "datetime": f"{day}T10:05:59Z",
        "eo:cloud_cover": 5.0,
        "s2:processing_baseline": options.get("baseline", "05.00" if raw else "03.01"),
    }
    if "applied" in options or (raw and not options.get("c1")):
        properties["earthsearch:boa_offset_applied"] = options.get("applied", False)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": scene,
        "collection": "sentinel-2-c1-l2a" if options.get("c1") else "sentinel-2-l2a",
        "bbox": [min(lon), min(lat), max(lon), max(lat)],
        "properties": properties,
        "assets": {
            key: {"href": f"{{{{BASE}}}}/s2/{scene}/{name}.tif", "raster:bands": [band]}
            for key, name in names.items()
        },
    }


def case(directory, number, kind):
    rng = np.random.default_rng(number)
    scene = f"SYNTHETIC_{number:02}_{kind['name']}"
    options = kind["options"]
    added, scl_block = options.pop("added", 0), options.pop("scl", None)
    empty = options.pop("empty", False)
    for name in ("c1", "baseline", "applied"):
        if name in options:
            kind.setdefault("said", {})[name] = options.pop(name)
    red, nir = field(rng, kind["shape"], 300, 1500), field(rng, kind["shape"], 1500, 5000)
    if empty:
        red[: kind["block"], : kind["block"]] = 0
    for band in (red, nir):
        band[band > 0] += added
    os.makedirs(f"{directory}/s2/{scene}")
    write(f"{directory}/s2/{scene}/B04.tif", red, kind)
    write(f"{directory}/s2/{scene}/B08.tif", nir, kind)
    scl = None
    if scl_block:
        shape = tuple(math.ceil(side / 2) for side in kind["shape"])
        scl = np.repeat(np.repeat(rng.integers(0, 12, (60, 60)), 8, 0), 8, 1)
        scl = scl[: shape[0], : shape[1]].astype(np.uint8)
        write(f"{directory}/s2/{scene}/SCL.tif", scl, kind, pixel=20, block=scl_block)
    kind["options"] = {"added": added} | kind.get("said", {})
    polygons = [
        {"name": name, "geometry": geometry, "expected": expected(geometry, kind, red, nir, scl)}
        for at, (name, geometry) in enumerate(outlines(rng, kind))
        # Every outline in some kinds of scenes, every kind with some outlines.
        if number == 0 or at % 3 == number % 3
    ]
    # A day for each, so that a search finds one scene although many lie at the same place.
    day = str(FIRST_DAY + datetime.timedelta(days=number))
    said = item(scene, day, kind, scl is not None)
    return {"scene": scene, "day": day, "item": said, "polygons": polygons}


def main():
    directory = sys.argv[1]
    cases = [case(directory, number, kind) for number, kind in enumerate(KINDS)]
    with open(f"{directory}/cases.json", "w", encoding="utf-8") as file:
        json.dump(cases, file)
    print(f"{len(cases)} scenes, {sum(len(c['polygons']) for c in cases)} outlines")


if __name__ == "__main__":
    main()
