// Evening in the orrery: the camera circles a brass orrery under a broken colonnade while its planets turn.
// One turn of `clock` (0..1) is the whole storyboard; any number of frames can be cut from it.
#version 3.7;
global_settings { assumed_gamma 1.0 max_trace_level 6 }
#include "materials.inc"

#declare Turn = clock*360;

sky_sphere { EveningSky }
fog { fog_type 2 distance 75 rgb <0.72, 0.44, 0.38> fog_offset 0 fog_alt 1.2 }

// Low sun behind the columns, cool sky light from above, warm light from the core itself.
light_source { <-60, 22, 70> rgb <1.55, 0.98, 0.62> area_light <6,0,0>, <0,6,0>, 2, 2 adaptive 1 jitter }
light_source { <30, 60, -40> rgb <0.16, 0.20, 0.32> shadowless }
light_source { <0, 2.35, 0> rgb <0.95, 0.55, 0.25> fade_distance 3 fade_power 2 looks_like { sphere { 0, 0.34 texture { Ember } } } }

camera {
  location <6.6*sin(radians(Turn*0.45 - 52)), 2.55 + 0.85*sin(radians(Turn)), -6.6*cos(radians(Turn*0.45 - 52))>
  look_at <0, 1.75, 0>
  right x*16/9
  angle 60
}

plane { y, 0 texture { FloorTile } }

#macro Column(Height)
  union {
    box { <-0.62, 0, -0.62>, <0.62, 0.22, 0.62> }
    torus { 0.46, 0.10 translate y*0.30 }
    difference {
      cone { <0, 0.30, 0>, 0.46, <0, Height, 0>, 0.38 }
      #for (Flute, 0, 15)
        cylinder { <0.50, 0.42, 0>, <0.42, Height - 0.1, 0>, 0.075 rotate y*Flute*22.5 }
      #end
    }
    torus { 0.40, 0.08 translate y*Height }
    box { <-0.56, Height + 0.06, -0.56>, <0.56, Height + 0.28, 0.56> }
    texture { Sandstone }
  }
#end

#declare Heights = array[9] { 4.6, 4.6, 3.1, 4.6, 1.4, 4.6, 4.6, 2.3, 4.6 };
#for (Index, 0, 8)
  object { Column(Heights[Index]) translate <0, 0, 8.6> rotate y*Index*40 }
#end

// Architraves where both neighbours still stand.
#macro Architrave(From)
  object {
    box { <-3.4, 4.88, -0.40>, <3.4, 5.34, 0.40> texture { Sandstone translate From } }
    translate <0, 0, 8.08> rotate y*(From*40 + 20)
  }
#end
Architrave(0)
Architrave(5)
Architrave(8)

// Fallen drums give the floor something to reflect.
object { cylinder { <0, 0.42, -0.6>, <0, 0.42, 0.6>, 0.42 texture { Sandstone } } rotate y*35 translate <2.9, 0, 2.7> }
object { cylinder { <0, 0.40, -0.4>, <0, 0.40, 0.4>, 0.40 texture { Sandstone } } rotate y*-58 translate <-3.3, 0, 1.8> }

// The orrery: a pedestal, three tilted rings, a planet on each.
union {
  cylinder { <0, 0, 0>, <0, 0.12, 0>, 1.0 }
  cone { <0, 0.12, 0>, 0.55, <0, 1.25, 0>, 0.14 }
  sphere { <0, 1.32, 0>, 0.2 }
  cylinder { <0, 1.3, 0>, <0, 2.1, 0>, 0.05 }
  texture { Brass }
}

#macro Ring(Radius, Tilt, Speed, Size, Planet)
  union {
    torus { Radius, 0.032 texture { Brass } }
    object { Planet scale Size translate x*Radius rotate y*Turn*Speed }
    rotate Tilt
    translate <0, 2.35, 0>
  }
#end

#declare GlassBall = sphere { 0, 1 material { Glass } }
#declare BrassBall = sphere { 0, 1 texture { Brass } }
#declare StoneBall = sphere { 0, 1
  texture {
    pigment { agate turbulence 0.4 scale 1.4 color_map { [0 rgb <0.05, 0.20, 0.30>] [0.5 rgb <0.16, 0.48, 0.52>] [0.8 rgb <0.85, 0.80, 0.62>] [1 rgb <0.95, 0.93, 0.88>] } }
    finish { ambient 0.04 diffuse 0.8 specular 0.4 roughness 0.02 }
  }
  rotate y*Turn*3
}

Ring(0.85, <18, 0, 12>, 3, 0.16, BrassBall)
Ring(1.35, <-14, 30, -20>, 2, 0.30, StoneBall)
Ring(1.95, <10, -25, 24>, 1, 0.42, GlassBall)
