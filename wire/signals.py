"""Vehicle-bus signals: PID → COVESA VSS name in the API → short key on the wire → field of a `Reading`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signal:
    """`pid` is the parameter of OBD mode 01, `key` the column of `wire.schema`, `field` the name in `Reading`.

    A signal without `field` is no column of the track: it is a value for status and checks. `vss` is empty where VSS has
    no name for it.
    """

    pid: int
    vss: str
    key: str
    field: str
    unit: str


SIGNALS: tuple[Signal, ...] = (
    Signal(0x04, "Vehicle.OBD.EngineLoad", "ld", "load_pct", "%"),
    Signal(0x05, "Vehicle.OBD.CoolantTemperature", "ct", "coolant_c", "°C"),
    Signal(0x0C, "Vehicle.OBD.EngineSpeed", "rp", "rpm", "1/min"),
    Signal(0x0D, "Vehicle.OBD.Speed", "vs", "speed_kph", "km/h"),
    Signal(0x11, "Vehicle.OBD.ThrottlePosition", "th", "throttle_pct", "%"),
    Signal(0x2F, "Vehicle.OBD.FuelLevel", "fu", "fuel_pct", "%"),
    Signal(0x42, "Vehicle.OBD.ControlModuleVoltage", "mv", "voltage_v", "V"),
)
"""Those of the track."""
BY_PID = {signal.pid: signal for signal in SIGNALS}
BY_KEY = {signal.key: signal for signal in SIGNALS}


def _more(pid: int, vss: str, key: str, unit: str = "") -> Signal:
    return Signal(pid, f"Vehicle.OBD.{vss}" if vss else "", key, "", unit)


OTHERS: tuple[Signal, ...] = (
    _more(0x01, "Status", "status"),
    _more(0x02, "FreezeDTC", "freeze_dtc"),
    _more(0x03, "FuelStatus", "fuel_system"),
    _more(0x06, "ShortTermFuelTrim1", "trim_short_1", "%"),
    _more(0x07, "LongTermFuelTrim1", "trim_long_1", "%"),
    _more(0x08, "ShortTermFuelTrim2", "trim_short_2", "%"),
    _more(0x09, "LongTermFuelTrim2", "trim_long_2", "%"),
    _more(0x0A, "FuelPressure", "fuel_pressure", "kPa"),
    _more(0x0B, "MAP", "manifold_pressure", "kPa"),
    _more(0x0E, "TimingAdvance", "timing_advance", "°"),
    _more(0x0F, "IntakeTemp", "intake_temp", "°C"),
    _more(0x10, "MAF", "maf", "g/s"),
    _more(0x12, "AirStatus", "air_status"),
    _more(0x13, "OxygenSensorsIn2Banks", "o2_present"),
    *(_more(0x13 + n, f"O2.Sensor{n}.Voltage", f"o2_{n}_voltage", "V") for n in range(1, 9)),
    *(_more(0x13 + n, f"O2.Sensor{n}.ShortTermFuelTrim", f"o2_{n}_trim", "%") for n in range(1, 9)),
    _more(0x1C, "OBDStandards", "obd_standard"),
    _more(0x1D, "OxygenSensorsIn4Banks", "o2_present_4"),
    _more(0x1E, "IsPTOActive", "pto"),
    _more(0x1F, "RunTime", "run_time", "s"),
    _more(0x21, "DistanceWithMIL", "distance_mil", "km"),
    _more(0x22, "FuelRailPressureVac", "rail_pressure_vacuum", "kPa"),
    _more(0x23, "FuelRailPressureDirect", "rail_pressure", "kPa"),
    *(_more(0x23 + n, f"O2WR.Sensor{n}.Lambda", f"o2w_{n}_lambda") for n in range(1, 9)),
    *(_more(0x23 + n, f"O2WR.Sensor{n}.Voltage", f"o2w_{n}_voltage", "V") for n in range(1, 9)),
    _more(0x2C, "CommandedEGR", "egr", "%"),
    _more(0x2D, "EGRError", "egr_error", "%"),
    _more(0x2E, "CommandedEVAP", "evap_purge", "%"),
    _more(0x30, "WarmupsSinceDTCClear", "warmups_since_clear"),
    _more(0x31, "DistanceSinceDTCClear", "distance_since_clear", "km"),
    _more(0x32, "EVAPVaporPressure", "evap_pressure", "Pa"),
    _more(0x33, "BarometricPressure", "baro_pressure", "kPa"),
    *(_more(0x33 + n, "", f"o2c_{n}_lambda") for n in range(1, 9)),
    *(_more(0x33 + n, f"O2WR.Sensor{n}.Current", f"o2c_{n}_current", "mA") for n in range(1, 9)),
    _more(0x3C, "Catalyst.Bank1.Temperature1", "catalyst_1_1", "°C"),
    _more(0x3D, "Catalyst.Bank2.Temperature1", "catalyst_2_1", "°C"),
    _more(0x3E, "Catalyst.Bank1.Temperature2", "catalyst_1_2", "°C"),
    _more(0x3F, "Catalyst.Bank2.Temperature2", "catalyst_2_2", "°C"),
    _more(0x41, "DriveCycleStatus", "cycle_status"),
    _more(0x43, "AbsoluteLoad", "load_absolute", "%"),
    _more(0x44, "CommandedEquivalenceRatio", "lambda_wanted"),
    _more(0x45, "RelativeThrottlePosition", "throttle_relative", "%"),
    _more(0x46, "AmbientAirTemperature", "ambient_temp", "°C"),
    _more(0x47, "ThrottlePositionB", "throttle_b", "%"),
    _more(0x48, "ThrottlePositionC", "throttle_c", "%"),
    _more(0x49, "AcceleratorPositionD", "pedal_d", "%"),
    _more(0x4A, "AcceleratorPositionE", "pedal_e", "%"),
    _more(0x4B, "AcceleratorPositionF", "pedal_f", "%"),
    _more(0x4C, "ThrottleActuator", "throttle_actuator", "%"),
    _more(0x4D, "RunTimeMIL", "run_time_mil", "min"),
    _more(0x4E, "TimeSinceDTCCleared", "time_since_clear", "min"),
    _more(0x4F, "", "max_lambda"),
    _more(0x4F, "", "max_o2_voltage", "V"),
    _more(0x4F, "", "max_o2_current", "mA"),
    _more(0x4F, "", "max_manifold_pressure", "kPa"),
    _more(0x50, "MaxMAF", "max_maf", "g/s"),
    _more(0x51, "FuelType", "fuel_type"),
    _more(0x52, "EthanolPercent", "ethanol", "%"),
    _more(0x53, "EVAPVaporPressureAbsolute", "evap_pressure_absolute", "kPa"),
    _more(0x54, "EVAPVaporPressureAlternate", "evap_pressure_alternate", "Pa"),
    _more(0x55, "ShortTermO2Trim1", "o2_trim_short_1", "%"),
    _more(0x55, "ShortTermO2Trim3", "o2_trim_short_3", "%"),
    _more(0x56, "LongTermO2Trim1", "o2_trim_long_1", "%"),
    _more(0x56, "LongTermO2Trim3", "o2_trim_long_3", "%"),
    _more(0x57, "ShortTermO2Trim2", "o2_trim_short_2", "%"),
    _more(0x57, "ShortTermO2Trim4", "o2_trim_short_4", "%"),
    _more(0x58, "LongTermO2Trim2", "o2_trim_long_2", "%"),
    _more(0x58, "LongTermO2Trim4", "o2_trim_long_4", "%"),
    _more(0x59, "FuelRailPressureAbsolute", "rail_pressure_absolute", "kPa"),
    _more(0x5A, "RelativeAcceleratorPosition", "pedal_relative", "%"),
    _more(0x5B, "HybridBatteryRemaining", "hybrid_battery", "%"),
    _more(0x5C, "OilTemperature", "oil_temp", "°C"),
    _more(0x5D, "FuelInjectionTiming", "injection_timing", "°"),
    _more(0x5E, "FuelRate", "fuel_rate", "l/h"),
    _more(0x5F, "", "emission_standard"),
    _more(0x61, "", "torque_wanted", "%"),
    _more(0x62, "", "torque_actual", "%"),
    _more(0x63, "", "torque_reference", "Nm"),
    *(_more(0x64, "", f"torque_point_{n}", "%") for n in range(5)),
    _more(0x66, "", "maf_a", "g/s"),
    _more(0x66, "", "maf_b", "g/s"),
    _more(0x67, "", "coolant_1", "°C"),
    _more(0x67, "", "coolant_2", "°C"),
    _more(0x84, "", "manifold_temp", "°C"),
    _more(0x8D, "", "throttle_g", "%"),
    _more(0x8E, "", "torque_friction", "%"),
    _more(0x9D, "", "fuel_rate_engine", "g/s"),
    _more(0x9D, "", "fuel_rate_vehicle", "g/s"),
    _more(0x9E, "", "exhaust_flow", "kg/h"),
    _more(0xA2, "", "cylinder_fuel", "mg"),
    _more(0xA4, "", "gear_ratio"),
    _more(0xA5, "", "def_dosing", "%"),
    _more(0xA6, "", "odometer", "km"),
)
"""What a vehicle may tell besides."""
ALL = (*SIGNALS, *OTHERS)
NAMED = {signal.key: signal for signal in ALL}
